// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package pictures

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/adit-go/adit/dicom/render"
)

// What workers of this test do with an image, by its photometric interpretation. They stand for what a hostile image
// may make a decoder do.
const (
	crashes  = "X_CRASH"
	swallows = "X_MEMORY"
	loops    = "X_LOOP"
	escapes  = "X_ESCAPE"
	talks    = "X_TALK"
)

var kept [][]byte

func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != Command {
		os.Exit(m.Run())
	}
	picture = func(o *order, frame []byte) ([]byte, error) {
		switch o.Image.Photometric {
		case crashes:
			os.Exit(3)
		case swallows:
			for {
				b := make([]byte, 16<<20)
				for i := 0; i < len(b); i += 4096 {
					b[i] = 1
				}
				kept = append(kept, b)
			}
		case loops:
			for {
				kept = kept[:0]
			}
		case talks:
			return nil, fmt.Errorf("%w: \x1b[2J<b>\xC3\xA4</b>%s", render.ErrDamaged, strings.Repeat("x", 5000))
		case escapes:
			return nil, fmt.Errorf("%w: %s", render.ErrDamaged, strings.Join(escape(), ", "))
		}
		return render.Picture(&o.Image, frame, &o.Options)
	}
	os.Exit(Child(os.Args[2:]))
}

// escape tries what a worker must not be able to do, and tells what it could.
func escape() []string {
	could := []string{"could:"}
	if _, err := os.Open("/etc/passwd"); err == nil {
		could = append(could, "open a file")
	}
	if _, err := os.Create("/tmp/adit-escape"); err == nil {
		could = append(could, "make a file")
	}
	if c, err := net.Dial("udp", "127.0.0.1:9"); err == nil {
		_ = c.Close()
		could = append(could, "open a socket")
	}
	if p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{}); err == nil {
		_, _ = p.Wait()
		could = append(could, "start a program")
	}
	if syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}) == nil && os.Getuid() != 0 {
		could = append(could, "raise its limits")
	}
	if dir, err := os.Getwd(); err == nil && dir != "/" {
		could = append(could, "be in "+dir)
	}
	if env := os.Environ(); len(env) > 0 {
		could = append(could, "see an environment")
	}
	if n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err != nil || n != 20-10 { // the kernel's own form
		could = append(could, "be in front")
	}
	return could
}
