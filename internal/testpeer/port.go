// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ports that a test takes before anything listens there lie below those that systems give away by themselves: from
// 32768 on Linux. A process takes a block of them, and holds the block by its first port for as long as it runs.
const (
	firstBlock = 12000
	lastBlock  = 31900
	blockSize  = 100
)

// errNoPort says that all blocks are taken.
var errNoPort = errors.New("no TCP port is left for tests on 127.0.0.1 from 12000 to 31999")

var ports struct {
	sync.Mutex
	held       net.Listener // the block's first port
	next, left int          // in the block
	tried      int          // where the next block is looked for
}

// Port returns a TCP port of 127.0.0.1 that nothing listens on, and that no connection and no other test gets.
func Port(t testing.TB) int {
	t.Helper()
	port, err := FreePort()
	require.NoError(t, err)
	return port
}

// FreePort is Port outside a test.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		if ports.left == 0 {
			if err := takeBlock(); err != nil {
				return 0, err
			}
		}
		port := ports.next
		ports.next, ports.left = ports.next+1, ports.left-1
		if l, err := listen(port); err == nil { // else a program of this machine has it
			return port, l.Close()
		}
	}
}

// takeBlock holds a block that no process holds. A block that was used up stays held: its ports may be in use.
func takeBlock() error {
	if ports.tried == 0 {
		ports.tried = firstBlock
	}
	for ; ports.tried <= lastBlock; ports.tried += blockSize {
		l, err := listen(ports.tried)
		if err != nil {
			continue
		}
		ports.held, ports.next, ports.left = l, ports.tried+1, blockSize-1
		ports.tried += blockSize
		return nil
	}
	return errNoPort
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
