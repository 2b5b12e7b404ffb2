//! The little of Protocol Buffers that a SentencePiece model needs: fields in order, by
//! number, as numbers or bytes.

/// A field's value.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// A variable-length number: integers, enumerations, truth values.
    Number(u64),
    /// Four bytes: an f32 here.
    Four([u8; 4]),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    /// Eight bytes, which nothing here reads.
    Eight,
}

/// Calls `each` with every field of a message.
///
/// # Errors
///
/// A message that is cut off or malformed; what `each` says.
pub fn fields<'a>(
    mut message: &'a [u8],
    mut each: impl FnMut(u64, Field<'a>) -> Result<(), String>,
) -> Result<(), String> {
    while !message.is_empty() {
        let key = number(&mut message)?;
        let field = match key & 7 {
            0 => Field::Number(number(&mut message)?),
            1 => take(&mut message, 8).map(|_| Field::Eight)?,
            2 => {
                let length = number(&mut message)?;
                let length = usize::try_from(length).map_err(|_| "a field is too long")?;
                Field::Bytes(take(&mut message, length)?)
            }
            5 => {
                let four = take(&mut message, 4)?;
                Field::Four([four[0], four[1], four[2], four[3]])
            }
            kind => return Err(format!("a field of the unknown kind {kind}")),
        };
        each(key >> 3, field)?;
    }
    Ok(())
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = message.split_at_checked(length).ok_or("the file is cut off")?;
    *message = rest;
    Ok(taken)
}

/// Seven bits a byte, the lowest first; the eighth says whether more follow.
fn number(message: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has more than ten bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_a_cut_is_an_error() {
        // Field 1 = 300, field 2 = "hi", field 3 = 1.0f32.
        let message = [8, 0xac, 2, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f];
        let mut seen = Vec::new();
        let read = |number, field| {
            seen.push(match field {
                Field::Number(value) => format!("{number}={value}"),
                Field::Four(value) => format!("{number}={}", f32::from_le_bytes(value)),
                Field::Bytes(value) => format!("{number}={}", String::from_utf8_lossy(value)),
                Field::Eight => "?".to_owned(),
            });
            Ok(())
        };
        fields(&message, read).unwrap();
        assert_eq!(seen, ["1=300", "2=hi", "3=1"]);
        for cut in [1, 2, 4, 6, 10] {
            assert!(fields(&message[..cut], |_, _| Ok(())).is_err(), "{cut}");
        }
        assert!(fields(&[0x80; 11], |_, _| Ok(())).is_err());
    }
}
