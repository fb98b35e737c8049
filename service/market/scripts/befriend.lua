-- Names another user a friend, or takes that back.
--
-- ARGV  user, the other, 'friend' or 'unfriend'
-- Answers {0 or 1 for a duplicate}, or {error code}.

local user, other, kind = unpack(ARGV)
local friends = KEY_FRIENDS .. user

local is_named = redis.call('SISMEMBER', friends, other) == 1
if is_named == (kind == 'friend') then
    return { 1 }
end
if user == other then
    return { CONFLICT }
end
if not is_named and redis.call('SCARD', friends) >= MAX_FRIENDS then
    return { TOO_MANY_REQUESTS }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end
journal(kind, user, 'body', '{"user":"' .. other .. '"}')
redis.call(is_named and 'SREM' or 'SADD', friends, other)
return { 0 }
