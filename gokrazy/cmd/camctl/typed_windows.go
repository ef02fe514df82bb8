package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// dropTyped forgets what was typed before a question. Where that fails it counts as an answer.
func dropTyped(in *os.File) { _ = windows.FlushConsoleInputBuffer(windows.Handle(in.Fd())) }
