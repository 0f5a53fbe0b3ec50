//! Foreign functions (ABI: "Foreign function interface").

use proxy_wasm_abi::Status;

use super::{ActiveCall, HostCallError, HostCallResult};
use crate::foreign::{self, ForeignError};
use crate::host::charge;
use crate::records::ForeignCall;

impl ActiveCall<'_> {
    pub(super) fn call_foreign_function(
        &mut self,
        name: u32,
        name_size: u32,
        arguments: u32,
        arguments_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let name = self.read(name, name_size)?;
        let arguments = self.read(arguments, arguments_size)?;
        let outcome = self.run_foreign(&name, &arguments, data, size);
        let status = match &outcome {
            Ok(()) => Status::Ok,
            Err(HostCallError::Status(status)) => *status,
            Err(HostCallError::Trap(_)) => return outcome,
        };
        self.host().record_foreign_call(ForeignCall {
            name: String::from_utf8_lossy(&name).into_owned(),
            arguments,
            status,
        });
        outcome
    }

    /// Runs a foreign function, and writes the address and the length of its result. As in Envoy, zeros
    /// are written if there is no result, and nothing is written to the address 0.
    fn run_foreign(
        &mut self,
        name: &[u8],
        arguments: &[u8],
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let (result, outcome) = match foreign::run(self.host(), name, arguments) {
            Ok(result) => (result, Ok(())),
            Err(ForeignError::Unknown) => return Err(Status::NotFound.into()),
            Err(ForeignError::NotProvided) => {
                let name = String::from_utf8_lossy(name);
                let reason = format!(
                    "the embedded proxy does not have Envoy's foreign function {name}; provide one \
                     with Options::foreign_function"
                );
                return Err(wasmi::Error::new(reason).into());
            }
            Err(ForeignError::Status(status)) => (None, Err(status.into())),
        };
        let length = result.as_ref().map_or(0, Vec::len);
        charge(&mut self.caller, length)?;
        if data != 0 {
            let address = match &result {
                Some(result) => self.copy_result(result)?,
                None => 0,
            };
            self.write_u32(data, address)?;
        }
        if size != 0 {
            self.write_length(size, length)?;
        }
        outcome
    }

    /// Copies the result of a foreign function to memory that the module allocates.
    fn copy_result(&mut self, result: &[u8]) -> HostCallResult<u32> {
        let length = u32::try_from(result.len()).map_err(|_| Status::InternalFailure)?;
        let address = self.allocate(length).and_then(|address| {
            self.write(address, result)?;
            Ok(address)
        });
        match address {
            Err(HostCallError::Status(_)) if result.is_empty() => Ok(0),
            Err(HostCallError::Status(_)) => Err(wasmi::Error::new(
                "its allocator returns no memory for the result of a foreign function, and Envoy \
                 crashes",
            )
            .into()),
            other => other,
        }
    }
}
