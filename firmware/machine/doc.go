// Package machine is what camsource needs of the computer it runs on, board or PC: complaints
// of the kernel that explain a bad picture (Health), news that make an early question at the
// gateway worth it (WakeOnChange), its priority among processes (Renice) and among the threads
// of its own process (CalmMonitor).
//
// It stands beside the stream and knows neither pictures nor the gateway: what it finds goes
// to a log or a callback. Test it without hardware: /sys is passed in as a file system,
// records of the kernel's log as bytes; the network's part takes a namespace of its own.
package machine
