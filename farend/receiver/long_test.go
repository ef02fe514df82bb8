package receiver

import "os"

// long says that what takes minutes is wanted, too (scripts/test --long).
var long = os.Getenv("KRAZYCAM_LONG") != ""
