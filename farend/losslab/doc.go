//go:build linux

// Package losslab is a bad network on one machine: a real camsource, or GStreamer's own sender,
// in one network namespace, GStreamer's receiver in another, and between them loss, delay,
// jitter and a bottleneck.
//
//	sender's namespace  link's namespace                        receiver's namespace
//	camsource -va=====ma- relay (loss, delay, order) -mb===vb- rtpbin, decoder
//	     ^ sniffer           tbf (rate, queue) on mb ^       ^ sniffer       ^ pictures
//
// The figures of a run come from three recordings that no sender can flatter: the packets that
// left va, those that arrived at vb, and the pictures that the receiver decoded. The clip bears
// a number in each picture (virtualcam/stamp). The packets of va are decoded once more without
// loss; this shows which picture was in which packet, when its first packet left, and how it
// looks when nothing is missing.
//
// Echo requests pass the bottleneck like media, but neither the relay's delay nor its loss.
//
// It needs root, and owns the namespaces, processes and sockets of a run; all end with it. It
// is a tool for engineers and tests and never part of a program on a board. Rates are bit/s of
// IP packets; times of a run count from its start.
//
// Sources: RFC 3550 (RTP), RFC 4588 (RTX); the Linux manual pages packet(7), tc-tbf(8).
package losslab
