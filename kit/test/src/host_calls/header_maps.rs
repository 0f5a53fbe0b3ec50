//! Header maps (ABI: "HTTP fields").

use proxy_wasm_abi::{AbiVersion, MapType, Status};

use super::{ActiveCall, HostCallResult};
use crate::header_map::{self, MapKind};
use crate::headers::Headers;
use crate::maps;

impl ActiveCall<'_> {
    /// Returns the size of a map that can be changed, as Envoy counts it.
    pub(super) fn get_header_map_size(&mut self, map: u32, size: u32) -> HostCallResult {
        let (map, _) = self.map_mut(MapType::try_from(map)?)?;
        let length = header_map::size(map);
        self.write_length(size, length)
    }

    /// Returns all pairs of a map. A map that does not exist has none.
    pub(super) fn get_header_map_pairs(
        &mut self,
        map: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let map = MapType::try_from(map)?;
        let bytes = self.host().map(map).map(maps::serialize);
        self.return_bytes(&bytes.unwrap_or_default(), data, size)
    }

    pub(super) fn set_header_map_pairs(
        &mut self,
        map: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let map = MapType::try_from(map)?;
        let pairs = self.read_map(data, size)?;
        let (map, kind) = self.map_mut(map)?;
        *map = kind.receive(pairs);
        Ok(())
    }

    /// Returns the first value of a name.
    pub(super) fn get_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let map = MapType::try_from(map)?;
        let name = self.read(name, name_size)?;
        let host = self.host();
        let is_logging = host.stream().is_some_and(|stream| stream.is_logging);
        let kind = match map {
            MapType::RequestHeaders => MapKind::Request,
            _ => MapKind::Response,
        };
        let value = match host.map(map) {
            Some(map) => kind.get(map, &name).map(<[u8]>::to_vec),
            None if is_logging => None,
            None => return Err(Status::BadArgument.into()),
        };
        match value {
            Some(value) => self.return_bytes(&value, data, size),
            // As in Envoy: the older ABI has an empty value.
            None if self.host().version == AbiVersion::V0_1_0 => self.return_bytes(&[], data, size),
            None => Err(Status::NotFound.into()),
        }
    }

    pub(super) fn add_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        self.change_value(map, (name, name_size), (data, size), MapKind::add)
    }

    pub(super) fn replace_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        self.change_value(map, (name, name_size), (data, size), MapKind::replace)
    }

    pub(super) fn remove_header_map_value(
        &mut self,
        map: u32,
        name: u32,
        name_size: u32,
    ) -> HostCallResult {
        let map = MapType::try_from(map)?;
        let name = self.read(name, name_size)?;
        let (map, kind) = self.map_mut(map)?;
        kind.remove(map, &name);
        Ok(())
    }

    /// Adds or replaces a field of a map. Name and value are addresses and sizes.
    fn change_value(
        &mut self,
        map: u32,
        (name, name_size): (u32, u32),
        (data, size): (u32, u32),
        change: impl Fn(MapKind, &mut Headers, &[u8], Vec<u8>),
    ) -> HostCallResult {
        let map = MapType::try_from(map)?;
        let (name, value) = (self.read(name, name_size)?, self.read(data, size)?);
        let (map, kind) = self.map_mut(map)?;
        change(kind, map, &name, value);
        Ok(())
    }

    /// A map that the module can change now.
    fn map_mut(&mut self, map: MapType) -> HostCallResult<(&mut Headers, MapKind)> {
        Ok(self.host().map_mut(map).ok_or(Status::BadArgument)?)
    }
}
