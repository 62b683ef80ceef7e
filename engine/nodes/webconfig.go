// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"sync"

	"github.com/adit-go/adit/dicom/web"
)

// webConfig returns what a client of a server's DICOMweb services is made of.
func (svc *Service) webConfig(at WebPeer) (web.Config, error) {
	cfg := web.Config{
		Root: at.Root, Name: at.Name, QIDO: at.QIDO, WADO: at.WADO, STOW: at.STOW,
		IdleTimeout: at.IdleTimeout, StoreTimeout: at.AnswerPatience,
	}
	auth, err := at.Auth()
	if err != nil {
		return cfg, err
	}
	if at.TLS != nil {
		if cfg.TLS, err = at.TLS(); err != nil {
			return cfg, err
		}
	}
	switch auth.Kind {
	case AuthBasic:
		cfg.Credentials = web.Basic(auth.User, string(auth.Secret))
	case AuthHeader:
		cfg.Credentials = web.FixedHeader(auth.Header, string(auth.Secret))
	case AuthOAuth2:
		cfg.Credentials, err = svc.tokens.of(at.ServerID, auth)
	}
	return cfg, err
}

// tokens are those that this process has for servers: all connections to one show the same token.
type tokens struct {
	mu sync.Mutex
	by map[int64]tokenSource
}

// tokenSource gets tokens with some settings.
type tokenSource struct {
	settings web.OAuth2Config
	from     web.Credentials
}

// of returns what has the tokens of a server, made anew if its settings have changed.
func (t *tokens) of(server int64, auth WebAuth) (web.Credentials, error) {
	trust, err := auth.TokenTLS()
	if err != nil {
		return nil, err
	}
	now := web.OAuth2Config{
		TokenURL: auth.TokenURL, ClientID: auth.ClientID, ClientSecret: string(auth.Secret),
		SecretInBody: auth.ClientAuth == ClientPost, Scope: auth.Scope, Audience: auth.Audience,
		Resource: auth.Resource, TLS: trust,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	had, ok := t.by[server]
	if ok && had.settings.TLS.RootCAs.Equal(trust.RootCAs) {
		same := had.settings
		if same.TLS = trust; same == now {
			return had.from, nil
		}
	}
	if t.by == nil {
		t.by = map[int64]tokenSource{}
	}
	t.by[server] = tokenSource{now, web.NewOAuth2(now)}
	return t.by[server].from, nil
}
