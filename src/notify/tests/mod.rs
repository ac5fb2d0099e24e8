mod arriving;
mod happening;
