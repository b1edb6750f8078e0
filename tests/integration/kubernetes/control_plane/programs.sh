# shellcheck shell=bash
# The programs of a control plane, and Helm: which versions, where they are kept, how they are built. Read by `cluster`.
set -euo pipefail
: "${here:?}" # the folder of both
default_version=1.36.3 kwok_version=0.8.0 operator_version=1.8.1 helm_versions=(3.22.0 4.3.1) go_minor=26
declare -A minutes=([servers]="5 to 12" [operator]="1 to 3" [helm]="1 to 2")
store=${KUBERNETES_TEST_ASSETS:-${XDG_CACHE_HOME:-$HOME/.cache}/kubernetes-test-assets}

folder_of() { # VERSION: where its servers are; KUBEBUILDER_ASSETS, where set and complete, is the default version's
  local name
  if [[ ${KUBEBUILDER_ASSETS:-} && $1 == "$default_version" ]]; then
    for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok; do
      [[ -x $KUBEBUILDER_ASSETS/$name ]] || { echo "$store/$1"; return; }
    done
    realpath "$KUBEBUILDER_ASSETS"; return
  fi
  echo "$store/$1"
}
need_go() {
  local found; found=$(go env GOVERSION 2>/dev/null) || found=none
  if ! [[ $found =~ ^go1\.([0-9]+) ]] || ((BASH_REMATCH[1] < go_minor)); then
    die "building from Go modules needs Go 1.$go_minor or newer in PATH; found $found"
  fi
}

wanted() { # [options of install]: a line each, WHAT VERSION PROGRAM; the program is there when all of it is
  local version=$default_version operator='' tools='' o v
  while getopts v:ot o; do case $o in v) version=${OPTARG#v};; o) operator=1;; t) tools=1;; *) usage;; esac; done
  ((OPTIND > $#)) || usage
  echo "servers $version $(folder_of "$version")/kwok"
  [[ ! $operator ]] || echo "operator $operator_version $store/training-operator-$operator_version/training-operator"
  [[ ! $tools ]] || for v in "${helm_versions[@]}"; do echo "helm $v $(path "helm${v%%.*}")"; done
}
path() { # PROGRAM
  local v
  case $1 in
    helm*) for v in "${helm_versions[@]}"; do [[ $1 != "helm${v%%.*}" ]] || { echo "$store/helm-$v/helm"; return; }; done;;
    training-operator) echo "$store/training-operator-$operator_version/$1"; return;;
    etcd | kube* | kwok) echo "$(folder_of "$default_version")/$1"; return;;
  esac
  die "no program is called $1: helm3, helm4, kubectl, etcd, kube-apiserver …"
}
installed() { # [options of install]: fails, naming what is missing
  local list what version program missing=''; list=$(wanted "$@")
  while read -r what version program; do [[ -x $program ]] || missing+=" $what $version;"; done <<<"$list"
  [[ ! $missing ]] || die "missing:$missing $0 install $*"
}
install() {
  local list what version program; list=$(wanted "$@")
  mkdir -p "$store"; exec 9>>"$store/.lock"; flock 9 # a second install waits for the first
  work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
  export GOWORK=off CGO_ENABLED=0
  while read -ru 8 what version program; do
    [[ -x $program ]] || { need_go; build "$what" "$(dirname "$program")"; }
  done 8<<<"$list"
  dirname "$(sed -n 's/^servers [^ ]* //p' <<<"$list")"
}
build() { # WHAT TARGET
  local target=$2
  echo "cluster: building $1 $version from Go modules, once: ${minutes[$1]} minutes on 2 cores" >&2
  mkdir -p "$target"; "build_$1"
}
build_servers() { # one binary, which is the server whose name it is called by
  mkdir servers; cd servers; cp "$here/servers.go" main.go
  quietly go mod init servers
  local source module; source=$(source_of k8s.io/kubernetes "v$version")
  # shellcheck disable=SC2013
  for module in $(sed -n 's/^\t\(k8s.io[^ ]*\) => .\/staging.*/\1/p' "$source/go.mod"); do
    go mod edit -replace="$module=$module@v0.${version#1.}" # what that version's own folders hold
  done
  go mod edit -require="k8s.io/kubernetes@v$version"
  quietly go mod tidy
  local v=k8s.io/component-base/version minor=${version#1.} name
  go build -trimpath -o "$target/.servers" -ldflags \
    "-s -w -X $v.gitVersion=v$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*} -X $v.gitTreeState=clean" .
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl; do ln -sf .servers "$target/$name"; done
  GOBIN=$PWD quietly go install -trimpath -ldflags '-s -w' "sigs.k8s.io/kwok/cmd/kwok@v$kwok_version"
  mv kwok "$target/kwok" # the last: it says that all is there
  cd ..
}
build_operator() {
  mkdir operator; cd operator; cp "$here/training-operator.go" main.go
  quietly go mod init operator
  go mod edit -require="github.com/kubeflow/training-operator@v$version"
  quietly go mod tidy
  cp -r "$(source_of github.com/kubeflow/training-operator "v$version")/manifests/base/crds" "$target"
  chmod -R u+w "$target/crds"; rm "$target/crds/kustomization.yaml"
  go build -trimpath -o "$target/training-operator" -ldflags '-s -w' .
  cd ..
}
build_helm() {
  GOBIN=$work quietly go install -trimpath -ldflags '-s -w' "helm.sh/helm/v${version%%.*}/cmd/helm@v$version"
  mv "$work/helm" "$target/helm"
}
source_of() { go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",/\1/p'; } # MODULE VERSION
quietly() { "$@" 2>"$work/log" || { cat "$work/log" >&2; return 1; }; }
