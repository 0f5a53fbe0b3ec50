//! Foreign functions (ABI: "Foreign function interface").

use proxy_wasm_abi::Status;

use super::{Call, Outcome};

impl Call<'_> {
    pub(super) fn call_foreign_function(
        &mut self,
        name: u32,
        name_size: u32,
        arguments: u32,
        arguments_size: u32,
        _data: u32,
        _size: u32,
    ) -> Outcome {
        self.read(name, name_size)?;
        self.read(arguments, arguments_size)?;
        Err(Status::NotFound.into())
    }
}
