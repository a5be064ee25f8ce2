# shellcheck shell=bash disable=SC2034
# Where everything of the test clusters is; read by the scripts beside it.
TOOLS=${ATOLL_E2E_TOOLS:-$HOME/.cache/atoll/kubernetes}   # binaries and images, kept between runs
STATE=${ATOLL_E2E_STATE:-/var/lib/atoll-e2e}              # running clusters; removed with them
NETWORK=atoll-e2e                                         # the namespace in which machines are cabled
export PATH="$TOOLS/bin:$PATH"
