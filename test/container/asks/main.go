// Asks prints how much memory a Go program thinks there is, in bytes.
//
//	asks meminfo | sysinfo
package main

import (
	"fmt"
	"log"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 2 && os.Args[1] == "sysinfo" {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Totalram * uint64(info.Unit))
		return
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		log.Fatal(err)
	}
	var kib uint64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err != nil {
		log.Fatal(err)
	}
	fmt.Println(kib * 1024)
}
