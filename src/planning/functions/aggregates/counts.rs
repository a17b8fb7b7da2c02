//! How often each value has come, per group: what COLLECT gives and PERCENTILE
//! works on.
//!
//! A value is kept in the bytes of the row format, which sort as values do, so
//! that what comes out does not depend on the order of arrival. NULL is no
//! value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;

use super::values::passes;

/// The counts of one group.
pub(super) type Bag = BTreeMap<Box<[u8]>, i64>;

/// `MAP<item NOT NULL, count NOT NULL>`.
pub(super) fn map_type(item: &Field, count: &DataType) -> DataType {
    let key = item.clone().with_name("key").with_nullable(false);
    let value = Field::new("value", count.clone(), false);
    let entries = DataType::Struct(Fields::from(vec![key, value]));
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

/// The counts of many groups.
#[derive(Debug)]
pub(super) struct Bags {
    converter: RowConverter,
    groups: Vec<Bag>,
    /// A value counts once however often it comes.
    is_distinct: bool,
    /// The bytes that the keys of all groups take.
    bytes: usize,
}

impl Bags {
    pub(super) fn new(item: &DataType, is_distinct: bool) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(item.clone())])?;
        Ok(Self { converter, groups: Vec::new(), is_distinct, bytes: 0 })
    }

    /// Adds each value as often as `count` says of its row.
    pub(super) fn add(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
        count: impl Fn(usize) -> i64,
    ) -> Result<()> {
        self.groups.resize_with(total, Bag::new);
        let rows = self.converter.convert_columns(std::slice::from_ref(values))?;
        for (row, group) in groups.iter().enumerate() {
            if values.is_valid(row) && passes(filter, row) {
                let bytes = rows.row(row);
                self.put(*group, bytes.as_ref(), count(row));
            }
        }
        Ok(())
    }

    fn put(&mut self, group: usize, value: &[u8], count: i64) {
        let bag = &mut self.groups[group];
        match bag.get_mut(value) {
            Some(_) if self.is_distinct => {}
            Some(known) => *known = known.wrapping_add(count),
            None => {
                self.bytes += value.len();
                bag.insert(value.into(), count);
            }
        }
    }

    /// Adds what [`Bags::to_maps`] gave.
    pub(super) fn merge(
        &mut self,
        maps: &ArrayRef,
        groups: &[usize],
        total: usize,
    ) -> Result<()> {
        self.groups.resize_with(total, Bag::new);
        let maps = maps.as_map();
        let rows = self.converter.convert_columns(std::slice::from_ref(maps.keys()))?;
        let counts = cast(maps.values(), &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        for (row, group) in groups.iter().enumerate() {
            let entries = maps.value_offsets()[row]..maps.value_offsets()[row + 1];
            for at in entries.map(|at| at as usize) {
                let bytes = rows.row(at);
                self.put(*group, bytes.as_ref(), counts.value(at));
            }
        }
        Ok(())
    }

    pub(super) fn take(&mut self, emit_to: EmitTo) -> Vec<Bag> {
        let taken = emit_to.take_needed(&mut self.groups);
        let bytes: usize = taken.iter().flat_map(Bag::keys).map(|key| key.len()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }

    pub(super) fn groups(&self) -> &[Bag] {
        &self.groups
    }

    /// The values of all of `bags`, one bag after the other, each sorted.
    pub(super) fn values(&self, bags: &[Bag]) -> Result<ArrayRef> {
        let parser = self.converter.parser();
        let rows = bags.iter().flat_map(Bag::keys).map(|key| parser.parse(key));
        Ok(self.converter.convert_rows(rows)?.swap_remove(0))
    }

    /// Each bag as a map of type `ty`; an empty one for a bag of nothing.
    pub(super) fn to_maps(&self, bags: &[Bag], ty: &DataType) -> Result<ArrayRef> {
        let (entries, fields) = entries_of(ty)?;
        let counts: Int64Array = bags.iter().flat_map(Bag::values).copied().collect();
        let keys = cast(&self.values(bags)?, fields[0].data_type())?;
        let counts = cast(&counts, fields[1].data_type())?;
        let columns = StructArray::try_new(fields.clone(), vec![keys, counts], None)?;
        let offsets = OffsetBuffer::from_lengths(bags.iter().map(Bag::len));
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, columns, None, false)?))
    }

    pub(super) fn size(&self) -> usize {
        let entries: usize = self.groups.iter().map(Bag::len).sum();
        let entry = size_of::<Box<[u8]>>() + size_of::<i64>();
        self.bytes + entries * entry + self.groups.capacity() * size_of::<Bag>()
    }
}

fn entries_of(ty: &DataType) -> Result<(&FieldRef, &Fields)> {
    if let DataType::Map(entries, _) = ty
        && let DataType::Struct(fields) = entries.data_type()
    {
        return Ok((entries, fields));
    }
    datafusion::common::internal_err!("{ty} is no map")
}
