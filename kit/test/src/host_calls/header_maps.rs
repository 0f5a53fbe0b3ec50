//! Header maps (ABI: "HTTP fields").

use proxy_wasm_abi::{AbiVersion, MapType, Status};

use super::{Call, Outcome};
use crate::maps;

impl Call<'_> {
    pub(super) fn get_header_map_size(&mut self, map: u32, size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let map = self.host().map(map).ok_or(Status::BadArgument)?;
        let length = maps::serialize(map).len();
        self.write_length(size, length)
    }

    pub(super) fn get_header_map_pairs(&mut self, map: u32, data: u32, size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let bytes = self.host().map(map).map(maps::serialize);
        self.return_bytes(&bytes.unwrap_or_default(), data, size)
    }

    pub(super) fn set_header_map_pairs(&mut self, map: u32, data: u32, size: u32) -> Outcome {
        let map = MapType::try_from(map)?;
        let pairs = self.read_map(data, size)?;
        *self.host().map_mut(map).ok_or(Status::BadArgument)? = pairs;
        Ok(())
    }

    pub(super) fn get_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let name = self.read(name, name_size)?;
        let version = self.host().version;
        let map = self.host().map(map).ok_or(Status::BadArgument)?;
        let value = match map.first(name) {
            Some(value) => value.to_vec(),
            // As in Envoy: the older ABI has an empty value.
            None if version == AbiVersion::V0_1_0 => Vec::new(),
            None => return Err(Status::NotFound.into()),
        };
        self.return_bytes(&value, data, size)
    }

    pub(super) fn add_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let (name, value) = (self.read(name, name_size)?, self.read(data, size)?);
        let map = self.host().map_mut(map).ok_or(Status::BadArgument)?;
        map.append(name, value);
        Ok(())
    }

    pub(super) fn replace_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let (name, value) = (self.read(name, name_size)?, self.read(data, size)?);
        let map = self.host().map_mut(map).ok_or(Status::BadArgument)?;
        map.replace(name, value);
        Ok(())
    }

    pub(super) fn remove_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
    ) -> Outcome {
        let map = MapType::try_from(map)?;
        let name = self.read(name, name_size)?;
        let map = self.host().map_mut(map).ok_or(Status::BadArgument)?;
        map.remove(name);
        Ok(())
    }
}
