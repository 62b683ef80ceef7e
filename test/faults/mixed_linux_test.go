// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

const (
	mostFuzzedMemory = 300 << 20 // bytes, of adit itself
	fuzzers          = 4         // at once, of each kind
	answerTimeout    = 20 * time.Second
	patience         = 200 * time.Millisecond // with what may get no answer
)

// TestMixedFuzz sends a little of what TestFaultMixedFuzz sends for long.
func TestMixedFuzz(t *testing.T) { mixedFuzz(t, 40, 0) }

// mixedFuzz has strangers and people who are known send odd requests and associations, at least so many each and for so
// long, while transfers are made: each of these succeeds, nothing answers 5xx, nothing panics, and memory stays in
// bounds. ADIT_FAULT_SEED repeats a run.
func mixedFuzz(t *testing.T, least int, long time.Duration) {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("ADIT_FAULT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("ADIT_FAULT_SEED=%d", seed)
	study := newStudy(17, 2, 5)
	from, to := newPACS(t, pacs.Config{Studies: []*phantom.Study{study}}), newPACS(t, pacs.Config{})
	s := serve(t, newDataDir(t), "--dicom-listen", "127.0.0.1:0")
	s.addServer("from", from.Addr(), 0)
	s.addServer("to", to.Addr(), 0)
	_, err := s.Site.ChangeSettings(t.Context(), client.SettingsChange{MaxJobsPerHour: new(0)})
	require.NoError(t, err)
	token, err := os.ReadFile(filepath.Join(s.dir, "admin.token"))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	end := time.Now().Add(long)
	kinds := []func(*fuzzer){(*fuzzer).http, (*fuzzer).json, (*fuzzer).dicom}
	sent := make([]int, fuzzers*len(kinds))
	for i := range sent {
		f := &fuzzer{
			t: t, ctx: ctx, random: rand.New(rand.NewPCG(seed, uint64(i))), token: strings.TrimSpace(string(token)),
			web: strings.TrimPrefix(s.url, "http://"), receiver: dicomAddr(t, s),
		}
		all.Go(func() {
			for ctx.Err() == nil && (sent[i] < least || time.Now().Before(end)) {
				kinds[i%len(kinds)](f)
				sent[i]++
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	served := 0
	for running := true; running || served == 0; served++ {
		job := s.awaitFinal(s.transfer("from", "to", study.StudyInstanceUID).ID)
		require.Equal(t, client.Success, job.Status, s.task(job.ID).Message)
		select {
		case <-done:
			running = false
		default:
		}
	}
	require.Equal(t, http.StatusOK, s.status("/healthz"))
	require.NotContains(t, s.said.String(), "panic")
	most := memory(t, s.cmd.Process.Pid)
	require.Less(t, most, int64(mostFuzzedMemory))
	t.Logf("sent by each: %v; transfers meanwhile: %d; most memory: %.1f MB", sent, served, float64(most)/1e6)
}

var dicomLine = regexp.MustCompile(`"msg":"ready".*"dicom":"([0-9.:]+)"`)

// dicomAddr is where the receiver of a server listens.
func dicomAddr(t *testing.T, s *server) (addr string) {
	t.Helper()
	await(t, "the receiver's address", func() bool {
		m := dicomLine.FindStringSubmatch(s.said.String())
		if m != nil {
			addr = m[1]
		}
		return m != nil
	})
	return addr
}

// fuzzer sends odd things, the same for the same seed.
type fuzzer struct {
	t             *testing.T
	ctx           context.Context
	random        *rand.Rand
	token         string
	web, receiver string
}

func pick[T any](f *fuzzer, list ...T) T { return list[f.random.IntN(len(list))] }

// odd is a text that somebody might send on purpose.
func (f *fuzzer) odd() string {
	return pick(
		f, "", "from", "to", "1", "0", "-1", "4294967296", "9223372036854775808", "NaN",
		"a\u202eb", "\u2066x", "%00", "%ff", "%2e%2e%2f", "../..", "=1+1", "x;=1",
		"A\x00B", "\xff\xfe", "\xed\xa0\x80", "'; DROP TABLE jobs; --", "{{7*7}}",
		"${x}", "1.2.840.10008.1.1", strings.Repeat("9", 70), strings.Repeat("ä", 300),
	)
}

// mutated changes a few bytes.
func (f *fuzzer) mutated(b []byte) []byte {
	b = bytes.Clone(b)
	for range f.random.IntN(4) {
		if len(b) == 0 {
			break
		}
		at := f.random.IntN(len(b))
		switch f.random.IntN(4) {
		case 0:
			b[at] ^= 1 << f.random.IntN(8)
		case 1:
			b = append(b[:at], b[min(len(b), at+1+f.random.IntN(20)):]...)
		case 2:
			b = append(b[:at:at], append([]byte(f.odd()), b[at:]...)...)
		case 3:
			b = b[:at]
		}
	}
	return b
}

func (f *fuzzer) dial(addr string) (net.Conn, bool) {
	conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(f.ctx, "tcp", addr)
	if err != nil {
		return nil, false
	}
	_ = conn.SetDeadline(time.Now().Add(answerTimeout)) // a connection has one
	return conn, true
}

// http sends a request whose head or body is odd, whole, in part, or several at once.
func (f *fuzzer) http() {
	conn, ok := f.dial(f.web)
	if !ok {
		return
	}
	defer func() { _ = conn.Close() }()
	body := f.body()
	head := fmt.Sprintf(
		"%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n",
		pick(f, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"),
		f.path(), pick(f, "x", "localhost", f.odd()),
		f.media(),
	)
	head += pick(
		f, "", "Authorization: Token "+f.odd()+"\r\n", "Cookie: adit_session="+f.odd()+"\r\n",
		"X-Forwarded-For: "+f.odd()+"\r\n", "Idempotency-Key: "+f.odd()+"\r\n",
		"X-Big: "+strings.Repeat("b", 40<<10)+"\r\n", "Expect: 100-continue\r\n",
		"Accept-Encoding: "+f.odd()+"\r\n", "Forwarded: for="+f.odd()+"\r\n",
	)
	rq := head
	switch f.random.IntN(4) {
	case 0:
		rq += "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(body), body) + pick(
			f, "0\r\n\r\n", "", "zz\r\n", "0\r\nX: y\r\n\r\n",
		)
	case 1:
		rq += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)+pick(f, 0, 0, 1, -1, 100), body)
	case 2:
		rq += "\r\n" + body
	case 3:
		rq = strings.Repeat(head+"\r\n", 5)
	}
	if f.random.IntN(3) == 0 {
		rq = string(f.mutated([]byte(rq)))
	}
	if _, err := io.WriteString(conn, rq); err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok && f.random.IntN(2) == 0 {
		_ = tcp.CloseWrite() // it may be closed
	}
	if f.random.IntN(4) == 0 {
		return // nobody waits for the answer
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // one that waits for more gets no answer
	if rsp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		f.judge(rsp, rq)
	}
}

func (f *fuzzer) path() string {
	return pick(
		f, "/", "/healthz", "/about", "/api/v1/openapi.json", "/api/v1/session",
		"/api/v1/registrations", "/api/v1/password-resets", "/api/v1/jobs", "/api/v1/jobs/"+f.odd(),
		"/api/v1/jobs?cursor="+f.odd(), "/api/v1/nodes/"+f.odd(), "/api/v1/servers/from/studies:search",
		"/api/v1/users?search="+f.odd(), "/api/v1/unsolicited-instances", "//", "/%2e%2e/"+f.odd(), f.odd(),
	)
}

func (f *fuzzer) media() string {
	return pick(
		f, "application/json", "application/json; charset=utf-16", "text/x+json", "application/problem+json",
		"application/cbor", "application/yaml", "text/csv", "multipart/form-data", "", f.odd(),
	)
}

// body is JSON, or nearly so.
func (f *fuzzer) body() string {
	made := pick(f,
		`{"username":"a","password":"b"}`, `{"username":"a","mail":"a@example.org"}`, `{"account":"a"}`,
		`{"kind":"selective_transfer","source":"from","destination":"to","studies":[{"study_instance_uid":"1.2.3","series_instance_uids":["1.2"],"patient_id":"F"}]}`,
		`{"name":"n","ae_title":"N","host":"127.0.0.1","port":1,"supports":{"study_root_find":true}}`,
		`{"name":"p","description":"d"}`, `{"patient_name":"Doe*"}`, `[]`, `null`, `1e999`, `"x"`, "",
		strings.Repeat("[", 500), "["+strings.Repeat("[],", 3000)+"0]",
		`{"a":`+strings.Repeat(`{"a":`, 100), strings.Repeat(`{"":0},`, 2000),
	)
	if f.random.IntN(2) == 0 {
		made = string(f.mutated([]byte(made)))
	}
	return strings.ReplaceAll(made, `"a"`, pick(f, `"a"`, strconv.Quote(f.odd()), `"\u0000"`, `"\ud800"`))
}

// json sends what somebody sends who may do all, some of it large.
func (f *fuzzer) json() {
	body := f.body()
	if f.random.IntN(20) == 0 {
		body = strings.Repeat(
			pick(f, "[],", `{"":0},`, `"",`, " ", `{"study_instance_uid":"1.2"},`), pick(f, 100_000, 1_000_000),
		)
		body = pick(f, "[", `{"studies":[`, "") + strings.TrimSuffix(body, ",") + pick(f, "]", "]}", "")
	}
	path := pick(
		f, "/api/v1/jobs", "/api/v1/jobs", "/api/v1/servers", "/api/v1/projects", "/api/v1/groups",
		"/api/v1/registrations", "/api/v1/profiles", "/api/v1/folders", "/api/v1/access",
		"/api/v1/projects/default/linkage:import", "/api/v1/users",
	)
	rq, err := http.NewRequestWithContext(f.ctx, http.MethodPost, "http://"+f.web+path, strings.NewReader(body))
	if err != nil {
		return
	}
	if f.random.IntN(3) == 0 {
		rq.ContentLength = -1
	}
	rq.Header.Set("Authorization", "Token "+f.token)
	if media := f.media(); utf8.ValidString(media) && !strings.Contains(media, "\x00") {
		rq.Header.Set("Content-Type", media)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	rsp, err := (&http.Client{Transport: transport, Timeout: deadline}).Do(rq)
	if err != nil {
		return // a refused body may end the connection
	}
	f.judge(rsp, rq.Method+" "+path+" "+body[:min(len(body), 500)])
}

// judge reads an answer. 503 with Retry-After is for those who ask for too much; 501 and 505 are for what is no HTTP of
// ours.
func (f *fuzzer) judge(rsp *http.Response, rq string) {
	answer, _ := io.ReadAll(io.LimitReader(rsp.Body, 1000)) // it may be cut off
	_ = rsp.Body.Close()                                    // it was read
	switch code := rsp.StatusCode; {
	case code < 500, code == 501, code == 505, code == 503 && rsp.Header.Get("Retry-After") != "":
	default:
		f.t.Errorf("%d for %q: %s", code, rq[:min(len(rq), 2000)], answer)
	}
}

// dicom asks for an association and sends commands over it, some of them odd.
func (f *fuzzer) dicom() {
	conn, ok := f.dial(f.receiver)
	if !ok {
		return
	}
	defer func() { _ = conn.Close() }()
	request := f.associate()
	if f.random.IntN(3) == 0 {
		request = f.mutated(request)
	}
	if _, err := conn.Write(request); err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))        // a request that isn't whole gets no answer
	if _, err := conn.Read(make([]byte, 1<<10)); err != nil { // an answer, whatever it is
		return
	}
	for range f.random.IntN(4) {
		pdu := f.store()
		if f.random.IntN(2) == 0 {
			pdu = f.mutated(pdu)
		}
		if _, err := conn.Write(pdu); err != nil {
			return
		}
	}
	_, _ = conn.Read(make([]byte, 1<<10)) // as above
}

func item(kind byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(content))), content...)
}

func pdu(kind byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind, 0}, uint32(len(content))), content...)
}

// associate is an A-ASSOCIATE-RQ for CT images, from a server that is known or from somebody else (PS3.8 9.3.2).
func (f *fuzzer) associate() []byte {
	title := func(s string) []byte { return fmt.Appendf(nil, "%-16.16s", s) }
	content := append([]byte{0, 1, 0, 0}, title(pick(f, "ADIT", "ADIT", "ADIT_LE", f.odd()))...)
	content = append(content, title(pick(f, "FROM", "FROM", "TO", f.odd()))...)
	content = append(content[:36:36], make([]byte, 32)...)
	content = append(content, item(0x10, []byte("1.2.840.10008.3.1.1.1"))...)
	for id := range byte(1 + f.random.IntN(3)) {
		context := append([]byte{2*id + 1, 0, 0, 0}, item(
			0x30, []byte(pick(f, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1", f.odd())),
		)...)
		context = append(context, item(0x40, []byte(pick(f, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", f.odd())))...)
		content = append(content, item(0x20, context)...)
	}
	content = append(content, item(0x50, append(item(0x51, []byte{0, 0, 0x40, 0}), item(0x52, []byte("1.2.3"))...))...)
	return pdu(1, content)
}

// store is a C-STORE-RQ with a data set (PS3.7 9.3.1).
func (f *fuzzer) store() []byte {
	element := func(group, number uint16, value string) []byte {
		if len(value)%2 == 1 {
			value += "\x00"
		}
		b := binary.LittleEndian.AppendUint16(nil, group)
		b = binary.LittleEndian.AppendUint16(b, number)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(value))), value...)
	}
	class, instance := pick(f, "1.2.840.10008.5.1.4.1.1.2", f.odd()), pick(f, "1.2.3.4", f.odd())
	command := element(0, 2, class)
	for _, e := range []struct {
		number uint16
		value  string
	}{
		{0x100, pick(f, "\x01\x00", "\x30\x00", "\xff\xff")},
		{0x110, "\x01\x00"},
		{0x700, "\x00\x00"},
		{0x800, "\x00\x00"},
		{0x1000, instance},
		{0x1030, f.odd()},
	} {
		command = append(command, element(0, e.number, e.value)...)
	}
	command = append(element(0, 0, string(binary.LittleEndian.AppendUint32(nil, uint32(len(command))))), command...)
	var data []byte
	for _, e := range []struct {
		group, number uint16
		value         string
	}{
		{8, 5, pick(f, "ISO_IR 100", `\ISO 2022 IR 87`, f.odd())},
		{8, 0x16, class},
		{8, 0x18, instance},
		{0x10, 0x10, f.odd()},
		{0x10, 0x20, f.odd()},
		{0x20, 0xd, f.odd()},
		{0x20, 0xe, f.odd()},
	} {
		data = append(data, element(e.group, e.number, e.value)...)
	}
	value := func(flags byte, b []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b)+2)), append([]byte{1, flags}, b...)...)
	}
	return append(pdu(4, value(3, command)), pdu(4, value(2, data))...)
}
