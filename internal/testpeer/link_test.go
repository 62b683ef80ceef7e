// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a server that says what it is told.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// linked is a connection through a link.
type linked struct {
	net.Conn
	t   *testing.T
	got chan string // lines that came; closed at the end
}

func connect(t *testing.T, l *Link) *linked {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	k := &linked{c, t, make(chan string, 100)}
	go func() {
		defer close(k.got)
		for lines := bufio.NewScanner(c); lines.Scan(); {
			k.got <- lines.Text()
		}
	}()
	return k
}

func (k *linked) say(line string) {
	k.t.Helper()
	_, err := io.WriteString(k, line+"\n")
	require.NoError(k.t, err)
}

func (k *linked) hear(line string) {
	k.t.Helper()
	select {
	case got, more := <-k.got:
		require.True(k.t, more, "the connection has ended")
		require.Equal(k.t, line, got)
	case <-time.After(time.Minute):
		k.t.Fatalf("%q did not come", line)
	}
}

func TestLink(t *testing.T) {
	l, err := LinkTo("tcp", echo(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	one := connect(t, l)
	one.say("first")
	one.hear("first")

	require.NoError(t, l.Silence())
	one.say("held")
	two := connect(t, l)
	two.say("held, too")
	require.Empty(t, one.got)
	require.NoError(t, l.Heal())
	one.hear("held")
	two.hear("held, too")

	const late = 50 * time.Millisecond
	l.Delay(late)
	began := time.Now()
	one.say("late")
	one.hear("late")
	require.GreaterOrEqual(t, time.Since(began), 2*late, "there and back")
	l.Delay(0)

	silenced := l.SilenceAfter(3)
	one.say("more")
	<-silenced
	require.NoError(t, l.Heal())
	one.hear("more")

	require.NoError(t, l.Refuse())
	_, more := <-one.got
	require.False(t, more)
	_, err = net.Dial("tcp", l.Addr)
	require.Error(t, err)
	require.NoError(t, l.Heal())
	three := connect(t, l)
	three.say("again")
	three.hear("again")
	require.NoError(t, three.Conn.(*net.TCPConn).CloseWrite())
	_, more = <-three.got
	require.False(t, more, "the end of one half is that of the other")
}
