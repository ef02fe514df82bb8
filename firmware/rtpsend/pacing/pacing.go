// Package pacing says when packets may leave: a Pacer for those of a frame, a Bucket for those
// that are sent again.
//
// It is pure: time is passed in. Rates are bytes a second, sizes bytes, bandwidths bit/s.
package pacing
