// Package v4l2 delivers pictures from a Linux camera (Open), from a y4m file (OpenY4M) or
// from a drawn pattern (NewPattern). All three hand the newest Buffer to the caller of Next,
// and count by cause what they dropped.
//
// It is the first stage of the flow. A Camera owns a descriptor, an eventfd and
// the mappings of the driver's buffers; a Y4M owns one mapping; a Pattern owns Go
// memory. None of them owns a goroutine. Once the stream runs, Next allocates
// nothing and copies nothing.
//
// The device is opened and configured through blackjack/webcam, all in webcam.go. What
// the library lacks or does wrong is done beside it on the same descriptor: node.go
// lists what and why. Tests need no device: v4l2test plays one through the interface
// Driver.
//
// Times are CLOCK_MONOTONIC since boot (see Now), lengths bytes.
//
// Sources: Linux user-space API, part "Video for Linux API", sections "Streaming
// I/O (Memory Mapping)", "Buffers" and the ioctl pages named beside each call.
package v4l2
