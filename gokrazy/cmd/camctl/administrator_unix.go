//go:build unix

package main

// administratorHint says how a person becomes one.
const administratorHint = "put sudo before the command"
