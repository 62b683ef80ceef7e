// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tokens starts a token server and makes credentials of it.
func tokens(t testing.TB, cfg OAuth2Config, handler http.HandlerFunc) *OAuth2 {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	cfg.TokenURL = s.URL + "/token"
	cfg.ClientID, cfg.ClientSecret = "me:", "se cret"
	return NewOAuth2(cfg)
}

func TestOAuth2(t *testing.T) {
	now := time.Now()
	n := 0
	life := `"expires_in":100,`
	o := tokens(t, OAuth2Config{Scope: "a b", Audience: "c"}, func(w http.ResponseWriter, r *http.Request) {
		saw(t, nil, r.ParseForm())
		saw(t, "client_credentials", r.PostForm.Get("grant_type"))
		saw(t, "a b", r.PostForm.Get("scope"))
		saw(t, "c", r.PostForm.Get("audience"))
		saw(t, false, r.PostForm.Has("resource"))
		saw(t, false, r.PostForm.Has("client_secret"))
		user, password, ok := r.BasicAuth()
		saw(t, true, ok)
		saw(t, []string{"me%3A", "se+cret"}, []string{user, password})
		if life == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		n++
		say(200, "application/json", `{"access_token":"t`+string(rune('0'+n))+`",`+life+`"token_type":"bearer"}`)(w)
	})
	o.now = func() time.Time { return now }
	get := func() string {
		name, value, err := o.Header(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Authorization", name)
		return value
	}
	require.Equal(t, "Bearer t1", get())
	now = now.Add(79 * time.Second)
	require.Equal(t, "Bearer t1", get())
	now = now.Add(time.Second)
	require.Equal(t, "Bearer t2", get())
	require.True(t, o.Rejected("Bearer t1")) // not the current one
	require.Equal(t, "Bearer t2", get())
	require.True(t, o.Rejected("Bearer t2"))
	life = ""
	_, _, err := o.Header(t.Context())
	var failed *TokenError
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Transient)
	life = `"expires_in":"10",`
	require.Equal(t, "Bearer t3", get())
	life = ""
	now = now.Add(9 * time.Second) // it can't be renewed, and serves on
	require.Equal(t, "Bearer t3", get())
	now = now.Add(time.Second)
	_, _, err = o.Header(t.Context())
	require.ErrorAs(t, err, &failed)
	life = `"x":1,`
	require.Equal(t, "Bearer t4", get())
	now = now.Add(lifetime*4/5 - 1)
	require.Equal(t, "Bearer t4", get())
	now = now.Add(1)
	require.Equal(t, "Bearer t5", get())
}

func TestOAuth2InBody(t *testing.T) {
	o := tokens(t, OAuth2Config{SecretInBody: true, Resource: "r"}, func(w http.ResponseWriter, r *http.Request) {
		saw(t, "me:", r.FormValue("client_id"))
		saw(t, "se cret", r.FormValue("client_secret"))
		saw(t, "r", r.FormValue("resource"))
		saw(t, "", r.Header.Get("Authorization"))
		say(200, "", `{"access_token":"t"}`)(w)
	})
	_, value, err := o.Header(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Bearer t", value)
}

// TestOAuth2Together: many who need a token at once ask for one.
func TestOAuth2Together(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	o := tokens(t, OAuth2Config{}, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		say(200, "", `{"access_token":"t"}`)(w)
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, value, err := o.Header(context.Background())
			if err != nil || value != "Bearer t" {
				t.Error(value, err)
			}
		})
	}
	left := errors.New("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(left)
	_, _, err := o.Header(ctx)
	require.ErrorIs(t, err, left)
	close(release)
	all.Wait()
	require.EqualValues(t, 1, asked.Load())
}

func TestOAuth2Errors(t *testing.T) {
	for _, c := range []struct {
		status    int
		body      string
		code      string
		transient bool
	}{
		{401, `{"error":"invalid_client","error_description":"se cret"}`, "invalid_client", false},
		{400, `{"error":"invalid scope: se\u0000cret"}`, "", false},
		{400, `{"error":"temporarily_unavailable"}`, "temporarily_unavailable", true},
		{400, `{"error":{"code":"se cret"}}`, "", false},
		{302, "", "", false},
		{503, "<html>", "", true},
		{429, "", "", true},
		{200, "<html>", "", false},
		{200, `{"access_token":""}`, "", false},
		{200, `{"access_token":"a\nb"}`, "", false},
		{200, `{"access_token":"a","token_type":"mac"}`, "", false},
	} {
		o := tokens(t, OAuth2Config{}, func(w http.ResponseWriter, _ *http.Request) { say(c.status, "", c.body)(w) })
		cl := serve(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *Config) { cfg.Credentials = o })
		_, _, err := retrieve(cl)
		var failed *TokenError
		require.ErrorAs(t, err, &failed, c.body)
		require.Equal(t, c.code, failed.Code)
		require.Equal(t, c.status, failed.Status)
		require.Equal(t, c.transient, failed.Transient, c.body)
		require.NotContains(t, err.Error(), "cret ")
		require.NotContains(t, err.Error(), "se cret")
	}
	var failed *TokenError
	for url, transient := range map[string]bool{
		"": false, "ftp://a": false, "https://a:b@c/": false, "http://127.0.0.1:1/?se=cret": true,
	} {
		_, _, err := NewOAuth2(OAuth2Config{TokenURL: url}).Header(t.Context())
		require.ErrorAs(t, err, &failed)
		require.Equal(t, transient, failed.Transient, url)
		require.NotContains(t, err.Error(), "cret")
	}
}
