-- Opens a pool.
--
-- ARGV  who asks, game, pool, question, options as JSON, their number, takeout (permille), grace time (ms),
--       when it closes by itself (ms since 1970) or '', what decides it as JSON or '', what it lapses with as
--       JSON or '', the event that opens it or '', the sequence from which on events decide it or ''
-- Answers {'done'}, {'duplicate'}, {'out_of_turn'}, or {error code}.

local by, game, pool, question, options, options_count = unpack(ARGV, 1, 6)
local takeout, grace_ms, closes_ms, decided_by, lapses, event, since = unpack(ARGV, 7, 13)
local key = KEY_POOL .. pool
local content = redis.sha1hex(table.concat(
    { game, question, options, takeout, grace_ms, closes_ms, decided_by, lapses }, '\n'))

local known = redis.call('HGET', KEY_GAMES, game)
if not known then
    return { NO_SUCH_GAME }
end
local state = redis.call('HMGET', key, 'game', 'content')
if state[1] then
    return { state[2] == content and 'duplicate' or EXISTS }
end
if not has_its_turn(game, event) then
    return { 'out_of_turn' }
end
local pools = KEY_GAME .. game .. ':pools'
if cjson.decode(known).status == 'finished'
    or (closes_ms ~= '' and tonumber(closes_ms) <= now_ms)
    or redis.call('ZCARD', pools) >= MAX_POOLS_PER_GAME then
    return { CONFLICT }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end

journal('pool', '', 'game', game, 'pool', pool, 'body', '{"status":"open","question":' .. cjson.encode(question)
    .. ',"options":' .. options .. ',"takeout":' .. takeout .. ',"by":"' .. by .. '"}')
if since == '' then
    since = redis.call('HGET', KEY_FEED .. game, 'received') or '-1'
end
redis.call('HSET', key, 'game', game, 'content', content, 'question', question, 'status', 'open',
    'options', options, 'options_count', options_count, 'takeout', takeout, 'grace_ms', grace_ms,
    'since', since, 'predictions', '0', 'flushed_ms', '0', 'due_ms', '0')
for option = 0, tonumber(options_count) - 1 do
    redis.call('HSET', key, 'total:' .. integer(option), '0')
end
if decided_by ~= '' then
    redis.call('HSET', key, 'decided_by', decided_by)
end
if lapses ~= '' then
    redis.call('HSET', key, 'lapses', lapses)
end
if closes_ms ~= '' then
    redis.call('HSET', key, 'closes_ms', closes_ms)
    redis.call('ZADD', KEY_CLOSING, closes_ms, pool)
end
index('SADD', game, pool, decided_by, lapses)
hold_new(game, pool, since, decided_by, lapses)
redis.call('ZADD', pools, integer(now_ms), pool)
pool_changed(game, pool)
return { 'done' }
