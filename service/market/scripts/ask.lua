-- Opens a pool with a user's question.
--
-- ARGV  user, key, game, pool, question as JSON, options as JSON, number of options, audience, closes in (ms),
--       question as text, digest of all of it
-- Answers {0 or 1 for a duplicate}, or {error code}.

local user, key, game, pool, question, options, options_count, audience, closes_in_ms, text, digest = unpack(ARGV)
local pool_key, receipt, asked = KEY_POOL .. pool, KEY_RECEIPT .. user .. ':' .. key, KEY_QUESTIONS .. user
local in_game = KEY_GAME .. game .. ':questions'
local content = 'question ' .. digest .. '|'

local kept = redis.call('GET', receipt)
if kept then
    return { kept == content and 1 or KEY_REUSED }
end
local announced = redis.call('HGET', KEY_GAMES, game)
if not announced then
    return { NO_SUCH_GAME }
end
if cjson.decode(announced).status == 'finished' then
    return { CONFLICT }
end
if redis.call('EXISTS', pool_key) == 1 then
    return { EXISTS }
end
local open, here, over = 0, 0, {}
for _, earlier in ipairs(redis.call('SMEMBERS', asked)) do
    local game_then, status, closes_ms = unpack(redis.call('HMGET', KEY_POOL .. earlier, 'game', 'status', 'closes_ms'))
    if game_then == game then
        here = here + 1
    elseif game_then and over[game_then] == nil then
        local told = redis.call('HGET', KEY_GAMES, game_then)
        over[game_then] = not told or cjson.decode(told).status == 'finished'
    end
    if status == 'open' and tonumber(closes_ms) > now_ms then
        open = open + 1
    elseif not game_then or over[game_then] then
        redis.call('SREM', asked, earlier)
    end
end
if open >= MAX_OPEN_QUESTIONS or here >= MAX_QUESTIONS_PER_GAME
    or tonumber(redis.call('GET', in_game) or 0) >= MAX_QUESTIONS_OF_ALL
    or redis.call('ZCARD', KEY_GAME .. game .. ':pools') >= MAX_POOLS_PER_GAME then
    return { TOO_MANY_REQUESTS }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end

local closes_ms = integer(now_ms + closes_in_ms)
journal('question', user, 'key', key, 'game', game, 'pool', pool, 'body',
    '{"question":' .. question .. ',"options":' .. options .. ',"audience":"' .. audience
    .. '","closes_at_ms":' .. closes_ms .. '}')
redis.call('HSET', pool_key, 'game', game, 'question', text, 'status', 'open', 'options', options,
    'options_count', options_count, 'predictions', '0', 'flushed_ms', '0', 'due_ms', '0', 'takeout', '0',
    'grace_ms', GRACE_MS_DEFAULT, 'closes_ms', closes_ms, 'asker', user, 'audience', audience)
for option = 0, options_count - 1 do
    redis.call('HSET', pool_key, 'total:' .. option, '0')
end
redis.call('ZADD', KEY_GAME .. game .. ':pools', integer(now_ms), pool)
redis.call('ZADD', KEY_CLOSING, closes_ms, pool)
redis.call('SADD', asked, pool)
redis.call('INCR', in_game)
redis.call('SET', receipt, content, 'PX', RECEIPT_LIFETIME_MS)
publish('pool_changed', game, pool, '"status":"open","question":' .. question .. ',"options":' .. options
    .. ',"totals":[' .. totals_of(pool, options_count) .. '],"predictions":0,"winners":[]')
return { 0 }
