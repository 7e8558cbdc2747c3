// Go's net package: a goroutine for each connection, a plain read-write loop.
package main

import (
	"fmt"
	"log"
	"net"
	"runtime"
)

func echo(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 65536)
	for {
		n, err := c.Read(buffer)
		if n > 0 {
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1) // one core, as every server here
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n", l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go echo(c)
	}
}
