//! Functions of text that DataFusion lacks or gives another meaning:
//! SPLIT_INDEX, REGEXP_EXTRACT, CONCAT.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub fn all() -> Vec<Arc<ScalarUDF>> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    vec![
        Arc::new(ScalarUDF::from(SplitIndex { signature: signature() })),
        Arc::new(ScalarUDF::from(RegexpExtract { signature: signature() })),
        Arc::new(ScalarUDF::from(Concat { signature: signature() })),
    ]
}

const TEXT: DataType = DataType::Utf8View;

fn view(args: &ScalarFunctionArgs, at: usize) -> Result<StringViewArray> {
    Ok(args.args[at].to_array(args.number_rows)?.as_string_view().clone())
}

/// `SPLIT_INDEX(text, separator, index)`: the piece at `index`, from 0; NULL
/// where there is none.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SplitIndex {
    signature: Signature,
}

impl ScalarUDFImpl for SplitIndex {
    fn name(&self) -> &'static str {
        "split_index"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _, index] if index.is_integer() => Ok(vec![TEXT, TEXT, DataType::Int64]),
            _ => plan_err!("SPLIT_INDEX takes a text, a separator and an index"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(TEXT)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (texts, separators) = (view(&args, 0)?, view(&args, 1)?);
        let indexes = args.args[2].to_array(args.number_rows)?;
        let indexes = indexes.as_primitive::<Int64Type>();
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for ((text, separator), index) in texts.iter().zip(separators.iter()).zip(indexes) {
            out.append_option(piece(text, separator, index));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

fn piece<'a>(
    text: Option<&'a str>,
    separator: Option<&str>,
    index: Option<i64>,
) -> Option<&'a str> {
    let (text, separator) = (text?, separator?);
    let index = usize::try_from(index?).ok()?;
    // Nothing is split out of an empty text, and an empty separator splits nothing.
    if text.is_empty() {
        return None;
    }
    if separator.is_empty() {
        return (index == 0).then_some(text);
    }
    text.split(separator).nth(index)
}

/// `REGEXP_EXTRACT(text, regex[, group])`: NULL where nothing matches.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpExtract {
    signature: Signature,
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &'static str {
        "regexp_extract"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(vec![TEXT, TEXT]),
            [_, _, group] if group.is_integer() => Ok(vec![TEXT, TEXT, DataType::Int64]),
            _ => plan_err!("REGEXP_EXTRACT takes a text, a regular expression and a group"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(TEXT)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ColumnarValue::Scalar(pattern) = &args.args[1] else {
            return exec_err!("REGEXP_EXTRACT takes a constant regular expression");
        };
        let group = match args.args.get(2) {
            None => Some(0),
            Some(ColumnarValue::Scalar(ScalarValue::Int64(group))) => *group,
            Some(_) => return exec_err!("REGEXP_EXTRACT takes a constant group"),
        };
        let texts = view(&args, 0)?;
        let pattern = pattern.try_as_str().flatten();
        let group = group.and_then(|group| usize::try_from(group).ok());
        // What Java cannot compile gives NULL, as in Flink.
        let regex = pattern.and_then(|pattern| regex::Regex::new(pattern).ok());
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for text in &texts {
            let found = text
                .zip(regex.as_ref())
                .and_then(|(text, regex)| regex.captures(text))
                .zip(group)
                .and_then(|(captures, group)| captures.get(group));
            out.append_option(found.map(|found| found.as_str()));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// `CONCAT(text, …)`: NULL if any is NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() {
            return plan_err!("CONCAT takes at least one text");
        }
        Ok(vec![TEXT; types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(TEXT)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts =
            (0..args.args.len()).map(|at| view(&args, at)).collect::<Result<Vec<_>>>()?;
        let mut out = StringViewBuilder::with_capacity(args.number_rows);
        let mut joined = String::new();
        for row in 0..args.number_rows {
            if texts.iter().any(|text| text.is_null(row)) {
                out.append_null();
                continue;
            }
            joined.clear();
            texts.iter().for_each(|text| joined.push_str(text.value(row)));
            out.append_value(&joined);
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
