//! A function's arguments as typed columns, where a constant stays one value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryViewArray, BooleanArray, ListBuilder,
    PrimitiveArray, StringViewArray, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// The arguments of one call, already of the types the function asked for.
pub(super) struct Arguments<'a> {
    pub(super) values: &'a [ColumnarValue],
    pub(super) rows: usize,
    /// The type the call returns.
    pub(super) returns: &'a DataType,
}

/// One argument: a constant is a column of one value.
pub(super) struct Column<A> {
    array: A,
    constant: bool,
}

pub(super) type Texts = Column<StringViewArray>;
pub(super) type Numbers<T> = Column<PrimitiveArray<T>>;

impl Arguments<'_> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values of argument `at`: as many as there are rows, or one.
    pub(super) fn raw(&self, at: usize) -> Result<(ArrayRef, bool)> {
        Ok(match &self.values[at] {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        })
    }

    /// The values of argument `at`, as many as there are rows.
    pub(super) fn array(&self, at: usize) -> Result<ArrayRef> {
        self.values[at].to_array(self.rows)
    }

    fn column(&self, at: usize, ty: &DataType) -> Result<(ArrayRef, bool)> {
        let (array, constant) = self.raw(at)?;
        if array.data_type() == ty {
            return Ok((array, constant));
        }
        Ok((cast(&array, ty)?, constant))
    }

    pub(super) fn texts(&self, at: usize) -> Result<Texts> {
        let (array, constant) = self.column(at, &DataType::Utf8View)?;
        Ok(Column { array: array.as_string_view().clone(), constant })
    }

    /// A string that may be left out.
    pub(super) fn texts_if_given(&self, at: usize) -> Result<Option<Texts>> {
        (at < self.len()).then(|| self.texts(at)).transpose()
    }

    /// The bytes of a string, or bytes.
    pub(super) fn bytes(&self, at: usize) -> Result<Column<BinaryViewArray>> {
        let (array, constant) = self.column(at, &DataType::BinaryView)?;
        Ok(Column { array: array.as_binary_view().clone(), constant })
    }

    pub(super) fn numbers<T: ArrowPrimitiveType>(&self, at: usize) -> Result<Numbers<T>> {
        let (array, constant) = self.column(at, &T::DATA_TYPE)?;
        Ok(Column { array: array.as_primitive::<T>().clone(), constant })
    }

    pub(super) fn integers(&self, at: usize) -> Result<Numbers<Int64Type>> {
        self.numbers(at)
    }

    pub(super) fn doubles(&self, at: usize) -> Result<Numbers<Float64Type>> {
        self.numbers(at)
    }

    pub(super) fn booleans(&self, at: usize) -> Result<BooleanArray> {
        let array = cast(&self.array(at)?, &DataType::Boolean)?;
        Ok(array.as_boolean().clone())
    }

    /// A column of what `value` says of each row.
    pub(super) fn collect<T: ArrowPrimitiveType>(
        &self,
        value: impl FnMut(usize) -> Option<T::Native>,
    ) -> ArrayRef {
        Arc::new((0..self.rows).map(value).collect::<PrimitiveArray<T>>())
    }

    pub(super) fn collect_booleans(
        &self,
        value: impl FnMut(usize) -> Option<bool>,
    ) -> ArrayRef {
        Arc::new((0..self.rows).map(value).collect::<BooleanArray>())
    }

    /// A column of strings: `write` puts each row's into an empty buffer, or
    /// says that it is NULL.
    pub(super) fn write_texts(
        &self,
        mut write: impl FnMut(usize, &mut String) -> Option<()>,
    ) -> ArrayRef {
        let mut out = StringViewBuilder::with_capacity(self.rows);
        let mut buffer = String::new();
        for row in 0..self.rows {
            buffer.clear();
            match write(row, &mut buffer) {
                Some(()) => out.append_value(&buffer),
                None => out.append_null(),
            }
        }
        Arc::new(out.finish())
    }

    /// A column of `ARRAY<STRING>`: `write` appends each row's elements, or says
    /// that the array is NULL.
    pub(super) fn write_lists(
        &self,
        mut write: impl FnMut(usize, &mut StringViewBuilder) -> Result<Option<()>>,
    ) -> Result<ArrayRef> {
        let mut out = ListBuilder::new(StringViewBuilder::new());
        for row in 0..self.rows {
            let valid = write(row, out.values())?.is_some();
            out.append(valid);
        }
        Ok(Arc::new(out.finish()))
    }

    /// A column of strings that are pieces of others.
    pub(super) fn slice_texts<'t>(
        &self,
        mut slice: impl FnMut(usize) -> Option<&'t str>,
    ) -> ArrayRef {
        let mut out = StringViewBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            out.append_option(slice(row));
        }
        Arc::new(out.finish())
    }
}

impl<A: Array> Column<A> {
    /// Where row `row`'s value is, unless it is NULL.
    #[inline]
    fn at(&self, row: usize) -> Option<usize> {
        let at = if self.constant { 0 } else { row };
        self.array.is_valid(at).then_some(at)
    }
}

impl Texts {
    pub(super) fn constant(text: &str) -> Self {
        Self { array: StringViewArray::from_iter_values([text]), constant: true }
    }

    /// A column that was made before.
    pub(super) fn of_array(array: &ArrayRef) -> Self {
        Self { array: array.as_string_view().clone(), constant: false }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.at(row).map(|at| self.array.value(at))
    }
}

impl Column<BinaryViewArray> {
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        self.at(row).map(|at| self.array.value(at))
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        self.at(row).map(|at| self.array.value(at))
    }
}
