//! The foreign functions of Envoy 1.40.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use proxy_wasm_abi::Status;

use crate::filter_state;
use crate::host::Host;
use crate::protobuf::{self, FieldValue};

/// zlib's default compression level.
const COMPRESSION_LEVEL: u8 = 6;

/// Why a foreign function does not return a result.
pub(crate) enum ForeignError {
    /// There is no such function.
    Unknown,
    /// Envoy has such a function, and the embedded proxy does not.
    NotProvided,
    Status(Status),
}

/// Runs a foreign function for the current context, and returns its result if it has one.
pub(crate) fn run(
    host: &mut Host,
    name: &[u8],
    arguments: &[u8],
) -> Result<Option<Vec<u8>>, ForeignError> {
    if let Some(function) = host.options.foreign_functions.get(name) {
        let result = function.call(arguments).map_err(ForeignError::Status)?;
        return Ok(Some(result).filter(|result| !result.is_empty()));
    }
    let done = match name {
        b"compress" => return Ok(Some(compress_to_vec_zlib(arguments, COMPRESSION_LEVEL))),
        b"uncompress" => {
            let limit = host.options.memory_limit;
            let result = decompress_to_vec_zlib_with_limit(arguments, limit);
            return result
                .map(Some)
                .map_err(|_| ForeignError::Status(Status::SerializationFailure));
        }
        // There are no routes to choose from.
        b"clear_route_cache" => Ok(()),
        b"declare_property" => declare_property(host, arguments),
        b"set_envoy_filter_state" => set_filter_state(host, arguments),
        b"expr_create" | b"expr_delete" | b"expr_evaluate" | b"sign" | b"verify_signature" => {
            return Err(ForeignError::NotProvided);
        }
        _ => return Err(ForeignError::Unknown),
    };
    done.map(|()| None).map_err(ForeignError::Status)
}

/// Declares a property (`DeclarePropertyArguments`). As in Envoy, this affects streams only if it is called
/// in the plugin's context. The effective context is ignored.
fn declare_property(host: &mut Host, arguments: &[u8]) -> Result<(), Status> {
    let (mut name, mut is_read_only) = (String::new(), false);
    protobuf::read(arguments, |number, value| {
        match (number, value) {
            (1, FieldValue::Bytes(text)) => name = std::str::from_utf8(text).ok()?.to_owned(),
            (2, FieldValue::Number(number)) => is_read_only = number != 0,
            _ => {}
        }
        Some(())
    })
    .ok_or(Status::BadArgument)?;
    let id = host.current;
    let declarations = match host.plugins.get_mut(&id) {
        Some(plugin) => &mut plugin.declarations,
        None => {
            &mut host
                .streams
                .get_mut(&id)
                .ok_or(Status::NotFound)?
                .declarations
        }
    };
    if declarations.contains_key(name.as_bytes()) {
        return Err(Status::BadArgument);
    }
    declarations.insert(name.into_bytes(), is_read_only);
    Ok(())
}

/// Sets an object of the filter state (`SetEnvoyFilterStateArguments`).
fn set_filter_state(host: &mut Host, arguments: &[u8]) -> Result<(), Status> {
    let (mut key, mut text, mut life_span) = (String::new(), String::new(), 0);
    protobuf::read(arguments, |number, value| {
        match (number, value) {
            (1, FieldValue::Bytes(bytes)) => key = std::str::from_utf8(bytes).ok()?.to_owned(),
            (2, FieldValue::Bytes(bytes)) => text = std::str::from_utf8(bytes).ok()?.to_owned(),
            (3, FieldValue::Number(number)) => life_span = number,
            _ => {}
        }
        Some(())
    })
    .ok_or(Status::BadArgument)?;
    let object = filter_state::object(&key, &text)?;
    let stream = host.stream().ok_or(Status::NotFound)?;
    stream.filter_state.set_object(&key, object, life_span);
    Ok(())
}
