//! A package's examples that are extensions of their own.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{CrateType, TargetKind};

use proxy_wasm_module::{shrink, strip};

use crate::toolchain::Toolchain;
use super::{ANALYSIS_OPTIONS, ANALYSIS_PROFILE, PROFILE, Project, REFERENCES, write_whole};

impl Project {
    /// The names of the package's examples that are built as modules.
    pub fn examples(&self) -> Vec<&str> {
        let targets = self.package.targets.iter();
        targets
            .filter(|target| {
                target.kind.contains(&TargetKind::Example)
                    && target.crate_types.contains(&CrateType::CDyLib)
            })
            .map(|target| target.name.as_str())
            .collect()
    }

    /// Compiles and shrinks the examples as [`Project::build`] does the module that ships, and gives
    /// the folder that holds them. Each is in it twice: `NAME.wasm`, and `NAME.names.wasm` with the
    /// names of its functions.
    ///
    /// # Errors
    ///
    /// As [`Project::build`].
    pub fn build_examples(&self) -> Result<PathBuf> {
        let toolchain = Toolchain::find_or_install()?;
        let compile = |profile, options, flag| -> Result<PathBuf> {
            let folder = self.compile_target("--examples", &toolchain, profile, options, flag)?;
            Ok(folder.join("examples"))
        };
        let modules = compile(PROFILE, &[], Some(REFERENCES))?;
        let analyses = compile(ANALYSIS_PROFILE, ANALYSIS_OPTIONS, None)?;
        let folder = self.target().join("examples");
        fs::create_dir_all(&folder)?;
        for name in self.examples() {
            let read = |folder: &PathBuf| {
                let module = folder.join(format!("{name}.wasm"));
                fs::read(&module).with_context(|| format!("cannot read {}", module.display()))
            };
            let with_names = shrink(&read(&modules)?, Some(&read(&analyses)?))?.module;
            write_whole(&folder.join(format!("{name}.names.wasm")), &with_names)?;
            write_whole(&folder.join(format!("{name}.wasm")), &strip(&with_names)?)?;
        }
        Ok(folder)
    }
}
