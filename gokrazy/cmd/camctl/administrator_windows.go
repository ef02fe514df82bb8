package main

// administratorHint says how a person becomes one.
const administratorHint = "start the terminal with \"Run as administrator\""
