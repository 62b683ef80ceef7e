// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// socket is a TCP connection whose reads and writes the Go runtime takes for ordinary code. They never block: the descriptor is
// non-blocking, and the runtime's poller is asked to wait where nothing can be had. Told of each system call, the runtime would wake its
// monitor for each, and give the thread's place to another one when a large write takes long: together a fifth of what an image costs.
type socket struct {
	tcp *net.TCPConn
	raw syscall.RawConn
	r   reading
	w   writing
}

type reading struct {
	sync.Mutex
	try    func(fd uintptr) bool // made once, since it escapes
	wait   func()
	waited bool
	into   []byte
	n      int
	errno  syscall.Errno
}

type writing struct {
	sync.Mutex
	try    func(fd uintptr) bool
	wait   func(int)
	waited bool
	from   *net.Buffers
	iov    []syscall.Iovec // for sysWritev
	n      int64
	since  int // of n, since the last wait
	errno  syscall.Errno
}

func newSocket(c *net.TCPConn) (transport, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{tcp: c, raw: raw}
	s.r.try, s.w.try = s.tryRead, s.tryWrite
	return s, nil
}

func (s *socket) read(p []byte, wait func()) (n int, waited bool, err error) {
	if len(p) == 0 {
		return 0, false, nil
	}
	s.r.Lock()
	defer s.r.Unlock()
	s.r.into, s.r.wait, s.r.waited, s.r.n, s.r.errno = p, wait, false, 0, 0
	err = s.raw.Read(s.r.try)
	s.r.into, s.r.wait = nil, nil
	if err == nil && s.r.errno != 0 {
		err = s.failed("read", s.r.errno)
	}
	if err == nil && s.r.n == 0 {
		err = io.EOF
	}
	return s.r.n, s.r.waited, err
}

// tryRead reads what is there, and gives false if that is nothing.
func (s *socket) tryRead(fd uintptr) bool {
	for {
		n, errno := sysRead(fd, s.r.into)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			quickACK(fd)
			s.r.waited = true
			s.r.wait()
			return false
		case 0:
			s.r.n = n
		}
		s.r.errno = errno
		return true
	}
}

func (s *socket) writev(v *net.Buffers, wait func(int)) (n int64, waited bool, err error) {
	s.w.Lock()
	defer s.w.Unlock()
	s.w.from, s.w.wait, s.w.waited, s.w.n, s.w.since, s.w.errno = v, wait, false, 0, 0, 0
	err = s.raw.Write(s.w.try)
	s.w.from, s.w.wait = nil, nil
	if err == nil && s.w.errno != 0 {
		err = s.failed("writev", s.w.errno)
	}
	return s.w.n, s.w.waited, err
}

// tryWrite writes as much as there is room for, and gives false if something is left.
func (s *socket) tryWrite(fd uintptr) bool {
	for {
		if len(*s.w.from) == 0 {
			return true
		}
		n, errno := s.w.sysWritev(fd, *s.w.from)
		switch errno {
		case 0:
			s.w.n += int64(n)
			s.w.since += n
			consume(s.w.from, n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			s.w.waited = true
			s.w.wait(s.w.since)
			s.w.since = 0
			return false
		default:
			s.w.errno = errno
			return true
		}
	}
}

// consume takes the first n bytes away.
func consume(v *net.Buffers, n int) {
	for len(*v) > 0 && n >= len((*v)[0]) {
		n -= len((*v)[0])
		(*v)[0] = nil
		*v = (*v)[1:]
	}
	if n > 0 {
		(*v)[0] = (*v)[0][n:]
	}
}

func (s *socket) failed(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.tcp.LocalAddr(), Addr: s.tcp.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}

// quickACK switches delayed acknowledgements off until the kernel switches them on again, which it does by itself: so it is called before
// each wait. Peers that leave Nagle's algorithm on (every stock DCMTK) otherwise wait 40 ms per object for our acknowledgement.
func quickACK(fd uintptr) {
	on := int32(1)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK,
		uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0) //nolint:gosec // it lives until the call returns
	_ = errno // a matter of speed only
}
