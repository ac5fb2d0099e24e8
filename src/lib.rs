#![doc = "Tidegate."]
