#!/bin/sh
# Runs one job. The payload comes on standard input; what is printed goes to the job's log: longshore job logs JOB.
#
# Exit 0 completes the job. 65: dead at once, trying again is useless. 75: put off, uncounted, by the job's backoff.
# Anything else is a failed attempt, which is tried again after the backoff, until the attempts are used up.
set -eu

payload=$(cat)
echo "job $LONGSHORE_JOB, attempt $LONGSHORE_ATTEMPT: $payload"

# The last line, if it is one JSON value, is the job's result.
printf '{"greeting": "%s", "to": %s}\n' "$GREETING" "$payload"
