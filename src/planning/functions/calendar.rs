//! Parts of a date: YEAR, QUARTER, MONTH, WEEK, DAYOFYEAR, DAYOFMONTH, DAYOFWEEK,
//! HOUR, MINUTE, SECOND, each a BIGINT. A TIMESTAMP_LTZ is read in its zone.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::{DatePart, cast, date_part};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const PARTS: [(&str, DatePart); 10] = [
    ("year", DatePart::Year),
    ("quarter", DatePart::Quarter),
    ("month", DatePart::Month),
    ("week", DatePart::Week),
    ("dayofyear", DatePart::DayOfYear),
    ("dayofmonth", DatePart::Day),
    ("dayofweek", DatePart::DayOfWeekSunday0),
    ("hour", DatePart::Hour),
    ("minute", DatePart::Minute),
    ("second", DatePart::Second),
];

pub fn all() -> Vec<Arc<ScalarUDF>> {
    PARTS
        .into_iter()
        .map(|(name, part)| {
            let signature = Signature::user_defined(Volatility::Immutable);
            Arc::new(ScalarUDF::from(Part { name, part: Kind(part), signature }))
        })
        .collect()
}

/// A part, comparable by name as a function has to be.
#[derive(Debug, Clone, Copy)]
struct Kind(DatePart);

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.0 as u8 == other.0 as u8
    }
}

impl Eq for Kind {}

impl std::hash::Hash for Kind {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.0 as u8).hash(state);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Part {
    name: &'static str,
    part: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Part {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [time @ (DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_))] => {
                Ok(vec![time.clone()])
            }
            [DataType::Utf8 | DataType::Utf8View | DataType::Null] => {
                Ok(vec![DataType::Timestamp(TimeUnit::Microsecond, None)])
            }
            _ => plan_err!("{} takes a date or a timestamp", self.name.to_uppercase()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = args.args[0].to_array(args.number_rows)?;
        let parts = cast(&date_part(&times, self.part.0)?, &DataType::Int64)?;
        if self.name != "dayofweek" {
            return Ok(ColumnarValue::Array(parts));
        }
        // Sunday is 1.
        let days = parts.as_primitive::<Int64Type>().unary::<_, Int64Type>(|day| day + 1);
        Ok(ColumnarValue::Array(Arc::new(days)))
    }
}
