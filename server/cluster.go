// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"cmp"
	"context"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/engine/lease"
)

// openCluster reads what the configuration says about the cluster, before anything is started.
func (s *server) openCluster() error {
	c := s.cfg.Cluster
	s.name, s.roles = cmp.Or(c.MemberName, machineName()), lease.Roles
	if !c.Cluster {
		return nil
	}
	switch {
	case s.cfg.Demo:
		return usage("--demo and --cluster exclude each other")
	case s.cfg.DatabaseURL == "":
		return usage("--cluster needs --database-url: the members of a cluster share one PostgreSQL")
	case len(s.name) > longestName:
		return usage("--member-name: at most %d bytes", longestName)
	}
	s.roles = nil
	for _, role := range c.Roles {
		role = strings.TrimSpace(role)
		if !slices.Contains(lease.Roles, role) {
			return usage("--roles: %q is none; give some of %s", role, strings.Join(lease.Roles, ", "))
		}
		if !slices.Contains(s.roles, role) {
			s.roles = append(s.roles, role)
		}
	}
	if len(s.roles) == 0 {
		return usage("--roles: give some of %s", strings.Join(lease.Roles, ", "))
	}
	dir := filepath.Join(s.cfg.DataDir, "cluster")
	certificates, err := cluster.OpenCertificates(
		cmp.Or(c.ClusterCA, filepath.Join(dir, "ca.pem")), cmp.Or(c.ClusterCert, filepath.Join(dir, "member.pem")),
		cmp.Or(c.ClusterKey, filepath.Join(dir, "member.key")),
	)
	if err != nil {
		return err
	}
	certificates.Tell(s.log)
	s.cluster = &actors.Cluster{Listen: c.ClusterListen, Certificates: certificates, Stores: map[uuid.UUID]actors.Store{}}
	return nil
}

const longestName = 255

func (s *server) has(role string) bool { return slices.Contains(s.roles, role) }

// listenCluster opens the channel for bytes, and works out under which addresses others reach this member.
func (s *server) listenCluster(ctx context.Context) error {
	if s.cluster == nil {
		return nil
	}
	c := s.cfg.Cluster
	var err error
	if s.cluster.Data, err = s.listen(ctx, "--cluster-data-listen", c.ClusterDataListen); err != nil {
		return err
	}
	s.cluster.Advertise, err = reached("--cluster-advertise", c.ClusterAdvertise, "--cluster-listen", c.ClusterListen)
	if err != nil {
		return err
	}
	s.cluster.DataAdvertise, err = reached(
		"--cluster-data-advertise", c.ClusterDataAdvertise, "--cluster-data-listen", s.cluster.Data.Addr().String(),
	)
	return err
}

// reached returns the address under which a listener is reached: the one that is given, else its own, and if that is
// any of this machine, its name.
func reached(flag, given, listenFlag, listen string) (string, error) {
	if given != "" {
		if host, port, err := net.SplitHostPort(given); err != nil || host == "" || !isPort(port) {
			return "", usage("%s: %q is not a host and port such as adit1.example.org:7201", flag, given)
		}
		return given, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || !isPort(port) {
		return "", usage("%s: %q is not an address such as :7201; its port must not be 0", listenFlag, listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = machineName()
	}
	return net.JoinHostPort(host, port), nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
