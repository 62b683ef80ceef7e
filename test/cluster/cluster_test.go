// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// deadline is how long a test waits for something that must happen; safety only.
const deadline = 2 * time.Minute

// options of a cluster. The zero value is fit for most tests.
type options struct {
	seed        uint64
	lease       time.Duration // of the members; 15 s, the default, when 0
	ownDatabase bool          // a PostgreSQL that can be restarted
	proxy       bool          // the balancer speaks the PROXY protocol
	roles       []string      // of each member, as in "web,worker"; all when there is none
	args        []string      // more, for each member
}

// cluster is some members on one database, with a balancer in front of their receivers.
type cluster struct {
	options
	t        *testing.T
	dir      string
	database *database
	pool     *pgxpool.Pool // of the test
	members  []*member
	balancer *testpeer.Link // in front of the receivers of the members that are alive
	ca       *testpeer.Authority
	token    string

	mu     sync.Mutex
	random *rand.Rand
}

// newCluster starts so many members, m1 and so on. They end with the test.
func newCluster(t *testing.T, n int, o options) *cluster {
	t.Helper()
	if o.lease == 0 {
		o.lease = 15 * time.Second
	}
	c := &cluster{
		options: o, t: t, dir: t.TempDir(), ca: testpeer.NewAuthority(t),
		random: rand.New(rand.NewPCG(o.seed, 0)),
	}
	c.database = newDatabase(t, o.ownDatabase)
	_, url := c.database.link()
	var err error
	c.pool, err = pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(c.pool.Close)
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(c.random.Uint32())
	}
	require.NoError(t, os.WriteFile(c.keyFile(), []byte(hex.EncodeToString(key)), 0o600))
	c.balancer, err = testpeer.NewLink(c.balance)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.balancer.Close()) })
	for range n {
		c.join()
	}
	return c
}

func (c *cluster) keyFile() string { return filepath.Join(c.dir, "secret.key") }

// balance connects to the receiver of a member that is alive, any of them.
func (c *cluster) balance(from net.Conn) (net.Conn, error) {
	c.mu.Lock()
	order := c.random.Perm(len(c.members))
	c.mu.Unlock()
	err := errors.New("no member is alive")
	for _, i := range order {
		m := c.members[i]
		if !m.in.Load() || !m.receives {
			continue
		}
		var to net.Conn
		if to, err = net.Dial("tcp", m.receiver); err != nil {
			continue
		}
		m.called.Add(1)
		if c.proxy {
			_, err = to.Write(proxyHeader(from.RemoteAddr().(*net.TCPAddr), from.LocalAddr().(*net.TCPAddr)))
		}
		return to, err
	}
	return nil, err
}

// proxyHeader is that of the PROXY protocol, version 2, for a TCP connection over IPv4.
func proxyHeader(from, to *net.TCPAddr) []byte {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c")
	b = append(append(b, from.IP.To4()...), to.IP.To4()...)
	b = binary.BigEndian.AppendUint16(b, uint16(from.Port))
	return binary.BigEndian.AppendUint16(b, uint16(to.Port))
}

// member is an adit serve.
type member struct {
	*process.Server // the process that runs now
	*client.Client  // nil: it serves nobody
	c               *cluster
	name            string
	dir             string
	args            []string
	receiver        string       // host:port
	admin           string       // host:port of /metrics
	receives        bool         // it has a receiver
	in              atomic.Bool  // what a balancer thinks of it
	called          atomic.Int64 // how many connections the balancer made to it

	// What stands between it and others: its ports of the cluster, as the others reach them, and the database.
	control, data, database *testpeer.Link
}

// join starts one more member.
func (c *cluster) join() *member {
	t := c.t
	t.Helper()
	local := func() (addr string) { return net.JoinHostPort("127.0.0.1", strconv.Itoa(testpeer.Port(t))) }
	m := &member{c: c, name: fmt.Sprintf("m%d", len(c.members)+1), receiver: local(), admin: local()}
	m.dir = filepath.Join(c.dir, m.name)
	identity := c.ca.Issue(t, "adit-cluster")
	var url string
	m.database, url = c.database.link()
	control, data, web := local(), local(), local()
	m.control, m.data = c.linkTo(control), c.linkTo(data)
	m.args = append([]string{
		"--lease", c.lease.String(), "--database-url", url, "--secret-key-file", c.keyFile(), "--listen", web,
		"--dicom-listen", m.receiver, "--admin-listen", m.admin,
		"--cluster", "--member-name", m.name, "--cluster-ca", c.ca.File, "--cluster-cert", identity.CertificateFile,
		"--cluster-key", identity.KeyFile, "--cluster-listen", control, "--cluster-data-listen", data,
		"--cluster-advertise", m.control.Addr, "--cluster-data-advertise", m.data.Addr,
	}, c.args...)
	if c.proxy {
		m.args = append(m.args, "--dicom-proxy", "127.0.0.1")
	}
	m.receives = true
	if len(c.roles) > 0 {
		roles := c.roles[len(c.members)]
		m.args, m.receives = append(m.args, "--roles", roles), strings.Contains(roles, "receiver")
	}
	m.start()
	c.mu.Lock()
	c.members = append(c.members, m)
	c.mu.Unlock()
	if c.token == "" {
		text, err := os.ReadFile(filepath.Join(m.dir, "admin.token"))
		require.NoError(t, err)
		c.token = strings.TrimSpace(string(text))
	}
	if m.URL == "" { // it has not the role web
		return m
	}
	var err error
	m.Client, err = client.New(
		m.URL, client.WithToken(c.token), client.WithPatience(time.Millisecond),
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}),
	)
	require.NoError(t, err)
	return m
}

func (c *cluster) linkTo(addr string) *testpeer.Link {
	l, err := testpeer.LinkTo("tcp", addr)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, l.Close()) })
	return l
}

// start starts its process, and waits until it is ready.
func (m *member) start() {
	m.c.t.Helper()
	m.Server = process.Serve(m.c.t, m.dir, m.args...)
	m.in.Store(true)
	started := m.Server
	m.c.t.Cleanup(func() { // so that it can end
		_ = started.Cmd.Process.Signal(syscall.SIGCONT)
		m.heal()
	})
}

func (m *member) signal(sig syscall.Signal) {
	m.c.t.Helper()
	require.NoError(m.c.t, m.Cmd.Process.Signal(sig))
}

// kill ends its process as kill -9 does.
func (m *member) kill() {
	m.c.t.Helper()
	m.in.Store(false)
	m.signal(syscall.SIGKILL)
	m.AwaitEnd()
}

// freeze stops its process where it is, and the balancer notices; thaw lets it go on.
func (m *member) freeze() {
	m.c.t.Helper()
	m.in.Store(false)
	m.signal(syscall.SIGSTOP)
}

func (m *member) thaw() {
	m.c.t.Helper()
	m.signal(syscall.SIGCONT)
	m.in.Store(true)
}

// heal lets everything pass again.
func (m *member) heal() {
	for _, l := range []*testpeer.Link{m.control, m.data, m.database} {
		require.NoError(m.c.t, l.Heal())
	}
}

// metric is the sum of the figures of a name whose labels hold all of those; 0 if there is none.
func (m *member) metric(name string, labels ...string) (sum float64) {
	t := m.c.t
	t.Helper()
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}).
		Get("http://" + m.admin + "/metrics")
	require.NoError(t, err)
	defer func() { require.NoError(t, rsp.Body.Close()) }()
	for lines := bufio.NewScanner(rsp.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if before, _, _ := strings.Cut(series, "{"); before != name {
			continue
		}
		all := true
		for _, l := range labels {
			all = all && strings.Contains(series, l)
		}
		if all {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			sum += n
		}
	}
	return sum
}

// one asks the database for a value.
func one[T any](c *cluster, sql string, args ...any) (v T) {
	c.t.Helper()
	require.NoError(c.t, c.pool.QueryRow(c.t.Context(), sql, args...).Scan(&v))
	return v
}

// await asks until what is asked for is so.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	process.AwaitWithin(t, deadline, what, ok)
}
