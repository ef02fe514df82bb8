// Package rig holds the tests that boot an image: the file that is flashed, unmodified,
// in QEMU with a virtual camera, against our gateway and receiver and against decoders
// that nobody here wrote. They need out/rpi.img and out/bbb.img (scripts/image) and the
// tools that scripts/setup installs. A test whose name ends in InVM boots a machine;
// the others try out the rig's own instruments.
package rig
