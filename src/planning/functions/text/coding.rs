//! Encodings and digests of strings.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::super::arguments::Arguments;
use super::super::function::{Function, Parameter};
use super::sha1::sha1;

use Parameter::{Integer, Number, Text, TextOrBytes};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    use datafusion::functions::crypto;
    let mut all = vec![
        to_base64(),
        from_base64(),
        hex(),
        unhex(),
        bin(),
        md5(),
        sha1_function(),
        sha2_of_length(),
    ];
    all.extend([
        digest("sha224", crypto::sha224()),
        digest("sha256", crypto::sha256()),
        digest("sha384", crypto::sha384()),
        digest("sha512", crypto::sha512()),
    ]);
    all
}

fn to_base64() -> Arc<ScalarUDF> {
    Function::new("to_base64", &[TextOrBytes], DataType::Utf8View, |args| {
        let bytes = args.bytes(0)?;
        Ok(args.write_texts(|row, out| {
            STANDARD.encode_string(bytes.get(row)?, out);
            Some(())
        }))
    })
    .udf()
}

/// # Errors
/// A text that is no base64 fails, as in Flink.
fn from_base64() -> Arc<ScalarUDF> {
    Function::new("from_base64", &[Text], DataType::Utf8View, |args| {
        let texts = args.texts(0)?;
        let mut fault = None;
        let out = args.write_texts(|row, out| {
            let text = texts.get(row)?;
            match STANDARD.decode(text) {
                Ok(bytes) => out.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => fault = Some(format!("'{text}' is no base64: {error}")),
            }
            Some(())
        });
        match fault {
            Some(fault) => exec_err!("{fault}"),
            None => Ok(out),
        }
    })
    .udf()
}

fn write_hex(bytes: &[u8], upper: bool, out: &mut String) {
    for byte in bytes {
        let written = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        written.expect("a String takes all");
    }
}

/// Of an integer, or of a string's bytes.
fn hex() -> Arc<ScalarUDF> {
    Function::new("hex", &[Parameter::Any], DataType::Utf8View, |args| {
        if args.values[0].data_type().is_integer() {
            let numbers = args.integers(0)?;
            return Ok(args.write_texts(|row, out| {
                write!(out, "{:X}", numbers.get(row)?).expect("a String takes all");
                Some(())
            }));
        }
        let bytes = args.bytes(0)?;
        Ok(args.write_texts(|row, out| {
            write_hex(bytes.get(row)?, true, out);
            Some(())
        }))
    })
    .udf()
}

/// NULL if the text is no hexadecimal number.
fn unhex() -> Arc<ScalarUDF> {
    Function::new("unhex", &[Text], DataType::BinaryView, |args| {
        let texts = args.texts(0)?;
        let bytes = (0..args.rows).map(|row| from_hex(texts.get(row)?));
        Ok(Arc::new(bytes.collect::<arrow::array::BinaryViewArray>()))
    })
    .udf()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits =
        text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<Vec<u8>>>()?;
    let (odd, even) = digits.split_at(digits.len() % 2);
    let pairs = even.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]);
    Some(odd.iter().copied().chain(pairs).collect())
}

fn bin() -> Arc<ScalarUDF> {
    Function::new("bin", &[Integer], DataType::Utf8View, |args| {
        let numbers = args.integers(0)?;
        Ok(args.write_texts(|row, out| {
            write!(out, "{:b}", numbers.get(row)?).expect("a String takes all");
            Some(())
        }))
    })
    .udf()
}

/// Asks DataFusion's digest `function` for the bytes of argument 0.
fn digested(function: &ScalarUDF, args: &Arguments<'_>) -> Result<arrow::array::ArrayRef> {
    let array = args.array(0)?;
    let field = |ty: &DataType| Arc::new(arrow::datatypes::Field::new("", ty.clone(), true));
    let returns = function.return_type(&[array.data_type().clone()])?;
    let call = ScalarFunctionArgs {
        arg_fields: vec![field(array.data_type())],
        args: vec![ColumnarValue::Array(array)],
        number_rows: args.rows,
        return_field: field(&returns),
        config_options: Arc::default(),
    };
    function.invoke_with_args(call)?.into_array(args.rows)
}

fn md5() -> Arc<ScalarUDF> {
    let inner = datafusion::functions::crypto::md5();
    Function::new("md5", &[TextOrBytes], DataType::Utf8View, move |args| {
        Ok(arrow::compute::cast(&digested(&inner, args)?, &DataType::Utf8View)?)
    })
    .udf()
}

fn digest(name: &'static str, inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Function::new(name, &[TextOrBytes], DataType::Utf8View, move |args| hexed(&inner, args))
        .udf()
}

fn hexed(inner: &ScalarUDF, args: &Arguments<'_>) -> Result<arrow::array::ArrayRef> {
    let bytes = arrow::compute::cast(&digested(inner, args)?, &DataType::BinaryView)?;
    let bytes = bytes.as_binary_view();
    Ok(args.write_texts(|row, out| {
        let valid = !arrow::array::Array::is_null(bytes, row);
        valid.then(|| write_hex(bytes.value(row), false, out))
    }))
}

fn sha1_function() -> Arc<ScalarUDF> {
    Function::new("sha1", &[TextOrBytes], DataType::Utf8View, |args| {
        let bytes = args.bytes(0)?;
        Ok(args.write_texts(|row, out| {
            write_hex(&sha1(bytes.get(row)?), false, out);
            Some(())
        }))
    })
    .udf()
}

/// `SHA2(s, bits)`, the bits being the same for all rows.
fn sha2_of_length() -> Arc<ScalarUDF> {
    use datafusion::functions::crypto;
    Function::new("sha2", &[TextOrBytes, Number], DataType::Utf8View, |args| {
        let inner = match args.integers(1)?.get(0) {
            Some(224) => crypto::sha224(),
            Some(256) => crypto::sha256(),
            Some(384) => crypto::sha384(),
            Some(512) => crypto::sha512(),
            other => return exec_err!("SHA2 takes 224, 256, 384 or 512 bits, not {other:?}"),
        };
        hexed(&inner, args)
    })
    .udf()
}
