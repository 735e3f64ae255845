//! Library half of this room.
