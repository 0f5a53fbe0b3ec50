//! The numbers of the ABI (section "Types").

use std::error::Error;
use std::fmt;

/// A number that is not a value of an ABI type.
///
/// It converts to [`Status::BadArgument`], which a host call returns for such an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownNumber {
    /// The type's name in the specification, for example `proxy_log_level_t`.
    pub type_name: &'static str,
    /// The number.
    pub number: u32,
}

impl fmt::Display for UnknownNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no value {}", self.type_name, self.number)
    }
}

impl Error for UnknownNumber {}

impl From<UnknownNumber> for Status {
    fn from(_: UnknownNumber) -> Self {
        Self::BadArgument
    }
}

macro_rules! numbers {
    ($(#[$attribute:meta])* enum $name:ident: $type_name:literal {
        $($(#[$variant_attribute:meta])* $variant:ident = $number:literal,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$variant_attribute])* $variant = $number,)*
        }

        impl $name {
            /// All values, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl From<$name> for u32 {
            fn from(value: $name) -> Self {
                value as Self
            }
        }

        impl TryFrom<u32> for $name {
            type Error = UnknownNumber;

            fn try_from(number: u32) -> Result<Self, UnknownNumber> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(UnknownNumber { type_name: $type_name, number }),
                }
            }
        }
    };
}

numbers! {
    /// The result of a host call (section "Types", `proxy_status_t`).
    ///
    /// The specification skips 5, 9 and 11.
    #[non_exhaustive]
    enum Status: "proxy_status_t" {
        /// The call succeeded.
        Ok = 0,
        /// The requested value does not exist.
        NotFound = 1,
        /// An argument is invalid.
        BadArgument = 2,
        /// A value could not be encoded.
        SerializationFailure = 3,
        /// A value could not be decoded.
        ParseFailure = 4,
        /// An address is outside of the module's memory.
        InvalidMemoryAccess = 6,
        /// The queue has no item.
        Empty = 7,
        /// The shared value has changed since it was read.
        CasMismatch = 8,
        /// The host failed.
        InternalFailure = 10,
        /// The host does not implement the call.
        Unimplemented = 12,
    }
}

numbers! {
    /// The level of a log line (section "Types", `proxy_log_level_t`).
    enum LogLevel: "proxy_log_level_t" {
        /// Each step of the code.
        Trace = 0,
        /// Details for debugging.
        Debug = 1,
        /// Information for operators.
        Info = 2,
        /// Something that an operator should check.
        Warn = 3,
        /// A failure.
        Error = 4,
        /// A failure that stops the extension. The Rust SDK logs panics at this level.
        Critical = 5,
    }
}

numbers! {
    /// A map of header fields or gRPC metadata (section "Types", `proxy_map_type_t`).
    enum MapType: "proxy_map_type_t" {
        /// The headers of the request.
        RequestHeaders = 0,
        /// The trailers of the request.
        RequestTrailers = 1,
        /// The headers of the response.
        ResponseHeaders = 2,
        /// The trailers of the response.
        ResponseTrailers = 3,
        /// The initial metadata of the response to a gRPC call.
        GrpcInitialMetadata = 4,
        /// The trailing metadata of the response to a gRPC call.
        GrpcTrailingMetadata = 5,
        /// The headers of the response to an HTTP call.
        CallResponseHeaders = 6,
        /// The trailers of the response to an HTTP call.
        CallResponseTrailers = 7,
    }
}

numbers! {
    /// A buffer (section "Types", `proxy_buffer_type_t`).
    ///
    /// The specification of ABI 0.1.0 has values up to 5. Envoy offers all of them to every ABI
    /// version.
    enum BufferType: "proxy_buffer_type_t" {
        /// The body of the request.
        RequestBody = 0,
        /// The body of the response.
        ResponseBody = 1,
        /// Bytes that came from the downstream TCP connection.
        DownstreamData = 2,
        /// Bytes that came from the upstream TCP connection.
        UpstreamData = 3,
        /// The body of the response to an HTTP call.
        CallResponseBody = 4,
        /// The message of a gRPC call.
        GrpcMessage = 5,
        /// The configuration of the VM.
        VmConfiguration = 6,
        /// The configuration of the plugin.
        PluginConfiguration = 7,
        /// The arguments of a foreign function.
        ForeignFunctionArguments = 8,
    }
}

numbers! {
    /// A direction of a stream (section "Types", `proxy_stream_type_t`). Not in ABI 0.1.0.
    enum StreamType: "proxy_stream_type_t" {
        /// The HTTP request.
        Request = 0,
        /// The HTTP response.
        Response = 1,
        /// The downstream side of a TCP connection.
        Downstream = 2,
        /// The upstream side of a TCP connection.
        Upstream = 3,
    }
}

numbers! {
    /// A type of metric (section "Types", `proxy_metric_type_t`).
    enum MetricType: "proxy_metric_type_t" {
        /// A value that only increases.
        Counter = 0,
        /// A value that can go up and down.
        Gauge = 1,
        /// A distribution of values.
        Histogram = 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(type_name: &str, all: &[T], expected: &[u32])
    where
        T: Copy + fmt::Debug + PartialEq + TryFrom<u32, Error = UnknownNumber>,
        u32: From<T>,
    {
        let numbers: Vec<_> = all.iter().copied().map(u32::from).collect();
        assert_eq!(numbers, expected, "{type_name}");
        for number in (0..=100).chain([u32::MAX]) {
            match T::try_from(number) {
                Ok(value) => assert_eq!(u32::from(value), number, "{type_name}"),
                Err(error) => {
                    assert!(!expected.contains(&number), "{type_name} {number}");
                    assert_eq!(error.type_name, type_name);
                    assert_eq!(error.number, number);
                }
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_specification() {
        check(
            "proxy_status_t",
            Status::ALL,
            &[0, 1, 2, 3, 4, 6, 7, 8, 10, 12],
        );
        check("proxy_log_level_t", LogLevel::ALL, &[0, 1, 2, 3, 4, 5]);
        check("proxy_map_type_t", MapType::ALL, &[0, 1, 2, 3, 4, 5, 6, 7]);
        check(
            "proxy_buffer_type_t",
            BufferType::ALL,
            &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        );
        check("proxy_stream_type_t", StreamType::ALL, &[0, 1, 2, 3]);
        check("proxy_metric_type_t", MetricType::ALL, &[0, 1, 2]);
    }

    #[test]
    fn unknown_number_is_a_bad_argument() {
        let error = LogLevel::try_from(6).unwrap_err();
        assert_eq!(error.to_string(), "proxy_log_level_t has no value 6");
        assert_eq!(Status::from(error), Status::BadArgument);
    }
}
