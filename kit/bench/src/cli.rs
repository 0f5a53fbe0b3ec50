//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::RangedU64ValueParser;

/// The HTTP client that checks the responses reads at most 128 headers, and Envoy adds some.
const MAX_HEADERS: u64 = 100;

const EXAMPLE: &str = "\
Example:
  cargo make bench --headers 1 other.wasm

This compares the extension with another module, for one header. It takes about three minutes.
kit/docs/performance.md describes the filters in the table.";

/// Count the instructions that the extension, and other filters that append the same headers, add to
/// a request in Envoy
#[derive(Clone, Debug, Parser)]
#[command(name = "proxy-wasm-bench", bin_name = "cargo make bench", version, after_help = EXAMPLE)]
pub struct Arguments {
    /// Other modules to measure; they get the same configuration
    #[arg(value_name = "MODULE.wasm")]
    pub modules: Vec<PathBuf>,
    /// How many headers the filters append: one run for each of these numbers
    #[arg(
        long,
        value_name = "NUMBERS",
        value_delimiter = ',',
        default_value = "1,10,100",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_HEADERS)
    )]
    pub headers: Vec<usize>,
    /// The configuration of the modules, instead of a JSON object with the headers
    #[arg(long, value_name = "TEXT")]
    pub configuration: Option<String>,
    /// The root ID of the modules, for modules that require one
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub root_id: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["proxy-wasm-bench"], arguments].concat())
    }

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn numbers_of_headers_are_separated_by_commas() -> Result<(), clap::Error> {
        assert_eq!(parse(&[])?.headers, [1, 10, 100]);
        let arguments = parse(&["--headers", "1,20", "a.wasm", "b.wasm"])?;
        assert_eq!(arguments.headers, [1, 20]);
        assert_eq!(arguments.modules.len(), 2);
        Ok(())
    }

    #[test]
    fn number_of_headers_out_of_range_is_rejected() {
        assert!(parse(&["--headers", "0"]).is_err());
        assert!(parse(&["--headers", "101"]).is_err());
    }
}
