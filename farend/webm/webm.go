// Package webm records streams as WebM files, and keeps their folder within limits.
//
// A Library owns one folder, DIR/CUSTOMER/SOURCE/20261128-193000.123.webm, by the time in UTC of the first
// frame, and a goroutine that keeps limits: the oldest finished files go first, one that is written
// never. Nothing is recorded while the disk is nearly full. A Recorder is a stream.Sink with a goroutine
// of its own that writes: whoever reads the socket never waits for a disk. When a disk is too slow, frames
// are left out up to a key frame, and counted.
//
// Damaged frames are left out up to the next whole key frame. A file ends when it is too long or large,
// and when the picture's size changes. What a crash leaves is a recording like any other (see
// package matroska).
//
// Bytes are bytes, not bit; times of a file are milliseconds since its first frame.
package webm
