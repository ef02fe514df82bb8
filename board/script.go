// What U-Boot runs: boot.scr, as text. Both boards' scripts choose the slot alike.

package board

// stateScript finds out which slot starts. It uses only commands that Debian's builds for
// am335x_evm, rpi_arm64 and qemu_arm all have: no setexpr.
//
// The state lies in sector 40 (card.StateSector; package slot has its text), which is read into
// memory at ${loadaddr}. A sector that says nothing means slot a. The variables exist before the
// import: what is missing there is taken away, with a warning on the console.
//
// A trial that is asked for is forgotten before it starts: the request is written over, and only a
// card that gives the new sector back starts the slot that is to be tried. A worn card that has
// become read-only would else try it for ever.
const stateScript = `echo "krazycam: ${board} ${fdtfile} boots from ${devtype} ${devnum}:${distro_bootpart}"
setenv part ${devnum}:${distro_bootpart}
setenv krazycam -
setenv layout -
setenv slot -
setenv try -
${devtype} dev ${devnum}
if ${devtype} read ${loadaddr} 0x28 1; then
  env import -t ${loadaddr} 0x200 krazycam layout slot try
fi
if test "${krazycam}" != "1" -o "${layout}" != "1"; then
  echo "krazycam: no state in sector 40"
  setenv slot a
  setenv try -
fi
setenv other b
if test "${slot}" = "b"; then
  setenv other a
else
  setenv slot a
fi
setenv order "${slot} ${other}"
if test "${try}" = "${other}"; then
  setenv krazycam 1
  setenv layout 1
  setenv try -
  env export -t -s 0x200 ${loadaddr} krazycam layout slot try
  ${devtype} write ${loadaddr} 0x28 1
  mw.b ${loadaddr} 0 0x200
  setenv try unknown
  if ${devtype} read ${loadaddr} 0x28 1; then
    env import -t ${loadaddr} 0x200 try
  fi
  if test "${try}" = "-"; then
    setenv order "${other} ${slot}"
  else
    echo "krazycam: sector 40 cannot be written: no trial"
  fi
fi
`

// endScript is where a script arrives when nothing started. It ends in a reset and not in U-Boot's
// next boot target, which would be whatever a BeagleBone's eMMC holds.
const endScript = `echo "krazycam: cannot boot, again in 10 s"
sleep 10
reset
`

// boneScript starts Debian's kernel with an initramfs. cmdline.txt begins with "console=", so that
// env import takes all of it as one variable.
//
// Debian's zImage unpacks itself: 1.8 of the 6 s until init is ready in QEMU. Unpacked before, it has
// 20.6 MB instead of 5.4, in each slot and each update, which a card reads in 0.8 s or more. U-Boot of
// am335x_evm unpacks at most 16 MiB (SYS_BOOTM_LEN), and a bare kernel wants a place that is counted
// from where RAM begins, another one for the board than for QEMU. So it stays as it is.
//
// Board am335x is any BeagleBone. fdtfile comes from its EEPROM; where that is blank or names
// a relative, the Black's device tree is the best guess. On QEMU's machine the device tree is
// U-Boot's own, which has it from QEMU.
const boneScript = stateScript + `for s in ${order}; do
  echo "krazycam: slot ${s}"
  if load ${devtype} ${part} ${loadaddr} ${s}/cmdline.txt; then
    env import -t ${loadaddr} ${filesize} console
    setenv bootargs "console=${console}"
    setenv bootfdt ${fdtcontroladdr}
    if test "${board}" = "am335x"; then
      setenv bootfdt ${fdt_addr_r}
      load ${devtype} ${part} ${bootfdt} ${s}/${fdtfile} ` +
	`|| load ${devtype} ${part} ${bootfdt} ${s}/am335x-boneblack.dtb
    fi
    if load ${devtype} ${part} ${kernel_addr_r} ${s}/vmlinuz; then
      if load ${devtype} ${part} ${ramdisk_addr_r} ${s}/initrd.bin; then
        bootz ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${bootfdt}
      fi
    fi
  fi
done
` + endScript

// piScript starts gokrazy's kernel on a Pi 3 or Zero 2 W, with the device tree that the boot firmware
// has put at ${fdt_addr}: it has mended it (MAC address, serial number, memory, overlays), and its
// own arguments for the kernel stand in it, which come before ours.
//
// The kernel of 46 MB would overwrite script and device tree at ${kernel_addr_r}. At 0x0c000000 there
// is room in 512 MB, and booti leaves it where it is.
//
// serial0 is a name that only the boot firmware knows. With Bluetooth off it is the PL011 UART,
// ttyAMA0. Where Bluetooth has that UART, serial0 is the small one, ttyS0. A PL011 that is serial1 and
// has no Bluetooth on it is ttyAMA1: so QEMU's Pi 3 is played.
//
// A kernel that hangs before it feeds the watchdog would need the power switch: the watchdog is
// started here, with 15 s, as the kernel's driver starts it, if the device tree has one. The driver
// takes over what runs. (A Pi 4 and 5 have kernel_watchdog_timeout for that.)
const piScript = stateScript + `for s in ${order}; do
  echo "krazycam: slot ${s}"
  if load ${devtype} ${part} ${loadaddr} ${s}/cmdline.txt; then
    env import -t ${loadaddr} ${filesize} console
    fdt addr ${fdt_addr}
    setenv own
    fdt get value own /chosen bootargs
    setenv uart ttyAMA0
    setenv serial
    fdt get value serial /aliases serial0
    if test "${serial}" = "/soc/serial@7e215040"; then
      setenv uart ttyAMA1
      if fdt get value bluetooth /soc/serial@7e201000/bluetooth compatible; then
        setenv uart ttyS0
      fi
    fi
    setenv bootargs "${own} console=${console}"
    setexpr bootargs sub console=serial0, console=${uart},
    if load ${devtype} ${part} 0x0c000000 ${s}/vmlinuz; then
      if fdt get value watchdog /soc/watchdog@7e100000 compatible; then
        mw.l 0x3f100024 0x5a0f0000
        mw.l 0x3f10001c 0x5a000122
      fi
      booti 0x0c000000 - ${fdt_addr}
    fi
  fi
done
` + endScript
