//! Little-endian bytes: a writer and a reader that knows how to fail.

use super::super::Wrong;
use super::SKIPPABLE;

/// Appends to a body.
pub(in crate::machine) struct Writer<'a>(pub(in crate::machine) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(in crate::machine) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(in crate::machine) fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(in crate::machine) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(in crate::machine) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Bytes with their length before them.
    pub(in crate::machine) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u32(value.len() as u32);
        self.0.extend_from_slice(value);
        self
    }

    /// An optional field.
    pub(in crate::machine) fn field(&mut self, number: u8, value: &[u8]) -> &mut Self {
        self.u8(number).bytes(value)
    }

    /// What `write` writes, with its length before it.
    pub(in crate::machine) fn counted(&mut self, write: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        write(self.u32(0));
        let length = (self.0.len() - start - 4) as u32;
        self.0[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self
    }

    /// An optional field whose value is written in place; it may have fields of its own.
    pub(in crate::machine) fn nested(&mut self, number: u8, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.u8(number).counted(write)
    }

    /// An optional field, left out where it is empty.
    pub(in crate::machine) fn field_unless_empty(&mut self, number: u8, value: &[u8]) -> &mut Self {
        match value.is_empty() {
            true => self,
            false => self.field(number, value),
        }
    }
}

/// Reads a body from its front.
#[derive(Clone, Copy)]
pub(in crate::machine) struct Reader<'a>(pub(in crate::machine) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Wrong> {
        let (head, tail) =
            self.0.split_at_checked(length).ok_or_else(|| format!("a value of {length} bytes is cut off"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many bytes as were taken"))
    }

    pub(in crate::machine) fn u8(&mut self) -> Result<u8, Wrong> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(in crate::machine) fn u16(&mut self) -> Result<u16, Wrong> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(in crate::machine) fn u32(&mut self) -> Result<u32, Wrong> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(in crate::machine) fn u64(&mut self) -> Result<u64, Wrong> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(in crate::machine) fn i64(&mut self) -> Result<i64, Wrong> {
        Ok(self.u64()?.cast_signed())
    }

    pub(in crate::machine) fn bytes(&mut self) -> Result<&'a [u8], Wrong> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(in crate::machine) fn text(&mut self) -> Result<&'a str, Wrong> {
        utf8(self.bytes()?)
    }

    /// Hands each optional field to `known`, which says whether it knows the number.
    pub(in crate::machine) fn fields(
        &mut self,
        mut known: impl FnMut(u8, &'a [u8]) -> Result<bool, Wrong>,
    ) -> Result<(), Wrong> {
        while !self.0.is_empty() {
            let number = self.u8()?;
            let value = self.bytes()?;
            if !known(number, value)? && number & SKIPPABLE == 0 {
                return Err(Wrong::unknown(&format!("field {number} is")));
            }
        }
        Ok(())
    }
}

pub(in crate::machine) fn utf8(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".into())
}

pub(in crate::machine) fn u64_of(bytes: &[u8]) -> Result<u64, Wrong> {
    let bytes = bytes.try_into().map_err(|_| format!("a number has {} bytes; 8 are right", bytes.len()))?;
    Ok(u64::from_le_bytes(bytes))
}
