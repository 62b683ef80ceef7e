// SPDX-License-Identifier: AGPL-3.0-or-later

package pictures

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/adit-go/adit/dicom/render"
)

// What a worker may take. RLIMIT_DATA counts the memory that Go really maps to be written; RLIMIT_AS would also count
// the 1.2 GB of addresses that a Go program reserves when it starts.
const (
	workerMemory = 1536 << 20
	goMemory     = 1 << 30 // from here on the garbage collector works harder
	bigFrame     = 16 << 20
)

// Child is what the hidden command does, and returns its exit code: without arguments it is a worker, which makes
// pictures until its input ends. With the path of a program and its arguments it limits itself and becomes that
// program. It must be called before anything else is done in the process.
func Child(args []string) int {
	if len(args) > 0 {
		_ = become(args) // its error has nobody to read it
		return 1
	}
	if err := confine(); err != nil {
		return 1
	}
	return serve(os.Stdin, os.Stdout)
}

func serve(in io.Reader, out io.Writer) int {
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(goMemory)
	r := bufio.NewReader(in)
	for {
		size, err := serveOne(r, out)
		if errors.Is(err, io.EOF) {
			return 0 // who asked is gone
		}
		if err != nil {
			return 1
		}
		if size > bigFrame {
			debug.FreeOSMemory()
		}
	}
}

var errProtocol = errors.New("it was sent what it can't read")

// serveOne makes one picture, of a frame of size bytes.
func serveOne(r io.Reader, out io.Writer) (size uint32, err error) {
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return 0, err
	}
	head, size := binary.LittleEndian.Uint32(lengths[:]), binary.LittleEndian.Uint32(lengths[4:])
	if head > maxOrder || size > render.MaxFrame {
		return 0, errProtocol
	}
	b := make([]byte, int(head)+int(size))
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, errProtocol
	}
	var o order
	if err := gob.NewDecoder(bytes.NewReader(b[:head])).Decode(&o); err != nil {
		return 0, err
	}
	data, err := picture(&o, b[head:])
	return size, answer(out, data, err)
}

// picture is replaced in tests.
var picture = func(o *order, frame []byte) ([]byte, error) { return render.Picture(&o.Image, frame, &o.Options) }

func answer(out io.Writer, data []byte, err error) error {
	kind := made
	if err == nil && len(data) > maxPicture {
		err = fmt.Errorf("%w: the picture has more than %d MiB; a smaller viewport helps", ErrUnsupported, maxPicture>>20)
	}
	if err != nil {
		kind = damaged
		for k, reason := range reasons {
			if errors.Is(err, reason) {
				kind = k
				data = []byte(strings.TrimPrefix(err.Error(), reason.Error()))
			}
		}
		data = data[:min(len(data), maxReason)]
	}
	head := binary.LittleEndian.AppendUint32([]byte{kind}, uint32(len(data)))
	if _, err := out.Write(head); err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}
