// Package uboot makes and changes what Debian's U-Boot reads: boot scripts, and the environment that
// is built in.
//
// It runs on the owner's machine and on the board, owns nothing and opens nothing: bytes come in,
// bytes go out. What it reads may be a stranger's or damaged. Its tests need Debian's packages
// (scripts/parts) and mkimage; package vm starts what comes out here.
package uboot
