"""What is done inside Redis: every change is one script, which nothing interrupts.

Keys, all behind the prefix and the version of this layout:

    s:<session>        hash: one session; the names of its fields are those of `core.session.Session`
    u:<zone>:<user>    sorted set: the sessions of a user, by when they were made
    e                  sorted set: all sessions, by when they end

A session counts only while its user's set names it: whatever else becomes of the keys (Redis may evict them one by one),
what `delete_user` has ended stays ended. Redis drops hashes and sets by itself a minute after their end; how long is left
is counted from the times of the proxies, so Redis' own clock does not matter.

Why scripts and not MULTI with WATCH: a refresh that lost the race would have to be tried again, over the wire, by code
that is then hardly ever run. Why names of keys are put together inside: they follow from what is found, and a Redis that
knows them all beforehand (Cluster) is served by a prefix in braces, which puts them into one slot.
"""

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

FIELDS: Final = ("zone", "user", "version", "current", "created", "ends", "idle_ends", "mac")
"""Of a session's hash, in the order in which scripts take and give them."""

# Milliseconds that Redis keeps a session longer than it lasts: clocks of several proxies differ.
_SLACK: Final = 60_000
# About ten years: what Redis can count.
_LONGEST: Final = 315_360_000_000
# How many that have ended one sign-in clears away at most, so that no script takes long.
_BATCH: Final = 200

_COMMON: Final = f"""
local base = KEYS[1]
local function drop(session)
  local owner = redis.call('HMGET', base .. 's:' .. session, 'zone', 'user')
  redis.call('ZREM', base .. 'e', session)
  if owner[1] and owner[2] then
    redis.call('ZREM', base .. 'u:' .. owner[1] .. ':' .. owner[2], session)
  end
  return redis.call('DEL', base .. 's:' .. session)
end
local function prune(now)
  local gone = 0
  for _, session in ipairs(redis.call('ZRANGEBYSCORE', base .. 'e', '-inf', now, 'LIMIT', 0, {_BATCH})) do
    gone = gone + drop(session)
  end
  return gone
end
local function found(session)
  local kept = redis.call('HMGET', base .. 's:' .. session, {", ".join(f"'{name}'" for name in FIELDS)})
  if not (kept[1] and kept[2]) then return false end
  if not redis.call('ZSCORE', base .. 'u:' .. kept[1] .. ':' .. kept[2], session) then
    drop(session)
    return false
  end
  return kept
end
local function last(key, milliseconds)
  local wanted = math.max(1, math.min(milliseconds, {_LONGEST}))
  if redis.call('PTTL', key) < wanted then redis.call('PEXPIRE', key, wanted) end
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name under which Redis remembers it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


def _script(text: str) -> Script:
    return Script(_COMMON + text)


GET: Final = _script("return found(ARGV[1])")
"""session -> its fields, or nothing."""

PUT: Final = _script(f"""
local session, per_user, now, ends = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[7]), tonumber(ARGV[11])
-- The first change is one that a full Redis refuses: then there is none at all.
redis.call('ZADD', base .. 'e', ends, session)
prune(now)
drop(session)
local key, mine = base .. 's:' .. session, base .. 'u:' .. ARGV[3] .. ':' .. ARGV[4]
redis.call('HSET', key, {", ".join(f"'{name}', ARGV[{number}]" for number, name in enumerate(FIELDS, 3))})
redis.call('ZADD', mine, now, session)
redis.call('ZADD', base .. 'e', ends, session)
for _, name in ipairs({{key, mine, base .. 'e'}}) do last(name, ends - now + {_SLACK}) end
local others = {{}}
for _, other in ipairs(redis.call('ZRANGE', mine, 0, -1)) do
  if other ~= session then
    if redis.call('EXISTS', base .. 's:' .. other) == 1 then
      others[#others + 1] = other
    else
      redis.call('ZREM', mine, other)
    end
  end
end
local surplus = math.max(0, #others + 1 - per_user)
for number = 1, surplus do drop(others[number]) end
return surplus
""")
"""session, per_user, its fields, when it ends at the earliest -> how many others of the user had to go."""

TOUCH: Final = _script(f"""
local session, key = ARGV[1], base .. 's:' .. ARGV[1]
local kept = found(session)
if not kept then return false end
local absolute = tonumber(kept[6])
local before, after = math.min(tonumber(kept[7]), absolute), math.min(tonumber(ARGV[2]), absolute)
kept[7] = ARGV[2]
local left = math.min(redis.call('PTTL', key) + after - before, {_LONGEST})
-- The first change is one that a full Redis allows, and then it allows the others: none of them needs room.
redis.call('PEXPIRE', key, math.max(1, left))
redis.call('HSET', key, 'idle_ends', ARGV[2])
redis.call('ZADD', base .. 'e', after, session)
for _, name in ipairs({{base .. 'u:' .. kept[1] .. ':' .. kept[2], base .. 'e'}}) do last(name, left) end
return kept
""")
"""session, idle_ends -> its fields, or nothing."""

DELETE: Final = _script("local kept = found(ARGV[1]) if not kept then return 0 end return drop(ARGV[1])")
"""session -> 1 or 0."""

DELETE_USER: Final = _script("""
local mine, gone = base .. 'u:' .. ARGV[1] .. ':' .. ARGV[2], 0
for _, session in ipairs(redis.call('ZRANGE', mine, 0, -1)) do
  gone = gone + drop(session)
end
redis.call('DEL', mine)
return gone
""")
"""zone, user -> how many."""

PRUNE: Final = _script("return {prune(tonumber(ARGV[1])), redis.call('ZCOUNT', base .. 'e', '-inf', ARGV[1])}")
"""now -> how many went now, and how many are left to go."""

LIST_USER: Final = _script("""
local all = {}
for _, session in ipairs(redis.call('ZRANGE', base .. 'u:' .. ARGV[1] .. ':' .. ARGV[2], 0, -1)) do
  local kept = found(session)
  if kept then all[#all + 1] = {session, kept} end
end
return all
""")
"""zone, user -> each session with its fields."""

LIST: Final = _script(f"""
local page, all = redis.call('ZSCAN', base .. 'e', ARGV[1], 'COUNT', {_BATCH}), {{}}
for number = 1, #page[2], 2 do
  local session = page[2][number]
  local kept = found(session)
  if kept then all[#all + 1] = {{session, kept}} end
end
return {{page[1], all}}
""")
"""cursor -> the next cursor, 0 at the end, and sessions with their fields; one may come twice, and none is left out."""
