//! A reply as a client holds it: owned, so that it outlives the read buffer.

/// One reply, of either version of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `_`, or a bulk string or array of length -1.
    Null,
    /// A simple string.
    Simple(String),
    /// An error; its first word is stable and says what kind.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// An integer of any size, in digits. Longshore's server sends none.
    BigNumber(String),
    /// A bulk string: any bytes. A verbatim string comes as this, without its format.
    Bulk(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// A map, in the order in which it came.
    Map(Vec<(Value, Value)>),
    /// A set, in the order in which it came; the reader does not look for doubles.
    Set(Vec<Value>),
    /// What the server sent unasked; it answers no request.
    Push(Vec<Value>),
}
