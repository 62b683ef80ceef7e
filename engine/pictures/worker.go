// SPDX-License-Identifier: AGPL-3.0-or-later

package pictures

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/adit-go/adit/dicom/render"
)

// A request is two lengths of 4 bytes, little endian, then a gob of order, then the frame. A response is a byte, a
// length of 4 bytes, and the picture, or why there is none.
const (
	maxOrder   = 8 << 20   // bytes: four lookup tables of 65,536 entries take 1 MB
	maxPicture = 128 << 20 // bytes
	maxReason  = 1 << 10
)

// What a response begins with.
const (
	made byte = iota
	unsupported
	damaged
	wrongOptions
)

// reasons are what a worker may say, and nothing else.
var reasons = map[byte]error{unsupported: ErrUnsupported, damaged: ErrFailed, wrongOptions: ErrOptions}

// order is what a worker is to do.
type order struct {
	Image   render.Image
	Options render.Options
}

// worker is a process that makes pictures, one after the other.
type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	dead bool
}

// start starts a worker. It sets its own limits before it reads anything.
func start(program string) (*worker, error) {
	cmd := exec.Command(program, Command) //nolint:noctx // it outlives the request that starts it; kill ends it
	cmd.Env, cmd.Dir, cmd.SysProcAttr = []string{}, "/", tied()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the program that makes pictures can't be started: %w", err)
	}
	return &worker{cmd: cmd, in: in, out: out}, nil
}

// kill ends the process, and waits for its end.
func (w *worker) kill() {
	w.dead = true
	_ = w.cmd.Process.Kill() // it may have ended already
	_ = w.in.Close()
	_ = w.cmd.Wait() // that it was killed is no news
}

var (
	// errGone: the process had ended before; what it was to be sent next is not to blame.
	errGone  = errors.New("the process that makes pictures has ended")
	errEnded = fmt.Errorf("%w: the decoder ended while it worked on it", ErrFailed)
)

// render has one picture made. Unless a response came whole, the worker is dead then.
func (w *worker) render(ctx context.Context, in *input, o *render.Options) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() })
	data, whole, err := w.exchange(in, o)
	if !stop() || !whole {
		w.kill()
	}
	return data, err
}

// exchange sends a request and reads the response; whole tells that the worker can go on.
func (w *worker) exchange(in *input, o *render.Options) (data []byte, whole bool, err error) {
	var head bytes.Buffer
	head.Write(make([]byte, 8))
	if err := gob.NewEncoder(&head).Encode(order{*in.image, *o}); err != nil {
		return nil, false, err
	}
	binary.LittleEndian.PutUint32(head.Bytes(), uint32(head.Len()-8))
	binary.LittleEndian.PutUint32(head.Bytes()[4:], uint32(in.size))
	if _, err := w.in.Write(head.Bytes()); err != nil {
		return nil, false, errGone
	}
	source := &source{r: in.frame}
	if n, err := io.Copy(w.in, source); source.err != nil || err == nil && n != in.size {
		return nil, false, judge(errors.Join(source.err, io.ErrUnexpectedEOF))
	} else if err != nil {
		return nil, false, errEnded
	}
	var answer [5]byte
	if _, err := io.ReadFull(w.out, answer[:]); err != nil {
		return nil, false, errEnded
	}
	size := binary.LittleEndian.Uint32(answer[1:])
	kind, failed := reasons[answer[0]]
	if !failed && answer[0] != made || size > maxPicture || failed && size > maxReason {
		return nil, false, errEnded
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(w.out, data); err != nil {
		return nil, false, errEnded
	}
	if failed {
		return nil, true, fmt.Errorf("%w%s", kind, printable(data))
	}
	return data, true, nil
}

// source remembers the error of a file, which io.Copy doesn't tell from that of a pipe.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// printable is what of a reason can be shown: a worker may have been taken over by an image.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b))
}
