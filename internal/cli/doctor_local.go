package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const clientPackage = "@picobase/client"

// checkCredentials makes sure that nobody else reads what login keeps.
func checkCredentials() finding {
	const name = "credentials"
	path, err := credentialsPath()
	if err != nil {
		return finding{Check: name, Status: skipped, Message: "this user has no folder for configuration"}
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if os.Getenv("PICOBASE_TOKEN") != "" {
			return finding{Check: name, Status: passed, Message: "PICOBASE_TOKEN is set, and nothing is kept"}
		}
		return finding{Check: name, Status: skipped, Message: "nobody is signed in"}
	}
	if err != nil {
		return finding{name, failed, err.Error(), "Make the file readable for you."}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return finding{name, failed, fmt.Sprintf("others can read %s (%o)", path, info.Mode().Perm()), "chmod 600 " + path + ", and sign in again if others use this machine."}
	}
	kept, err := loadCredentials()
	if err != nil {
		return finding{name, failed, message(err), hint(err, "Make the file readable for you.")}
	}
	for platform, signedIn := range kept.Platforms {
		expires, err := time.Parse(time.RFC3339, signedIn.Expires)
		if err == nil && time.Until(expires) < 7*24*time.Hour {
			return finding{name, warned, fmt.Sprintf("the sign-in to %s ends at %s", platform, signedIn.Expires), "Run picobase login --platform " + platform}
		}
	}
	return finding{Check: name, Status: passed, Message: path + " is for you alone"}
}

// checkLink makes sure that the link is whole and stays out of git.
func checkLink() finding {
	const name = "link"
	linked, err := findLink()
	if err != nil {
		return finding{name, failed, message(err), hint(err, "Run picobase link again.")}
	}
	if linked == nil {
		return finding{Check: name, Status: skipped, Message: "this folder is not linked"}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(linked.path), ".gitignore")); err != nil {
		return finding{name, warned, "git would take " + filepath.Dir(linked.path) + " up", "Run picobase link again: it adds a .gitignore."}
	}
	return finding{Check: name, Status: passed, Message: linked.path}
}

// checkPackage compares the SDK that the app in this folder has installed with the
// server or, without one, with this binary.
func checkPackage(server, own string) finding {
	const name = "client"
	folder, err := os.Getwd()
	if err != nil {
		return finding{name, failed, err.Error(), "Go to a folder that is there."}
	}
	version, found := installedClient(folder)
	if !found {
		return finding{Check: name, Status: skipped, Message: "no package.json here needs " + clientPackage}
	}
	against := server
	if against == "" {
		against = own
	}
	text := fmt.Sprintf("%s is %s, PicoBase %s", clientPackage, version, against)
	order, err := compareVersions(version, against)
	switch {
	case version == "":
		return finding{name, warned, clientPackage + " is not installed", "Run npm install."}
	case err != nil:
		return finding{Check: name, Status: skipped, Message: text + ": no releases to compare"}
	case order > 0:
		return finding{name, warned, text, "Update the server: the client may ask for what it does not know."}
	case order < 0:
		return finding{name, warned, text, "npm install " + clientPackage + "@latest"}
	}
	return finding{Check: name, Status: passed, Message: text}
}

// installedClient looks for the app that folder belongs to. Found says that it wants
// the client; version is empty when that is not installed.
func installedClient(folder string) (version string, found bool) {
	for {
		var app struct {
			Dependencies    map[string]string `json:"dependencies"`
			DevDependencies map[string]string `json:"devDependencies"`
		}
		if readJSON(filepath.Join(folder, "package.json"), &app) == nil {
			if app.Dependencies[clientPackage]+app.DevDependencies[clientPackage] != "" {
				return clientIn(folder), true
			}
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", false
		}
		folder = above
	}
}

// clientIn finds the package as Node does, in the folder or above it.
func clientIn(folder string) string {
	for {
		var installed struct {
			Version string `json:"version"`
		}
		path := filepath.Join(folder, "node_modules", filepath.FromSlash(clientPackage), "package.json")
		if readJSON(path, &installed) == nil {
			return strings.TrimSpace(installed.Version)
		}
		above := filepath.Dir(folder)
		if above == folder {
			return ""
		}
		folder = above
	}
}

func readJSON(path string, out any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, out)
}
