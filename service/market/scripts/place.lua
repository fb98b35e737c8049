-- Takes a stake from an account and puts it on an option of a pool: all of it or nothing.
--
-- ARGV  user, game, pool, option, stake, key, flush interval (ms)
-- Answers {0 or 1 for a duplicate, epoch, journal id, balance, ms until the pool's flush is due}, or {error code}.

local user, game, pool, option, stake, key = unpack(ARGV, 1, 6)
local state = pool_state(pool)

local kept = redis.call('GET', KEY_RECEIPT .. user .. ':' .. key)
if kept then
    local content = table.concat({ game, pool, option, stake }, ' ') .. '|'
    if kept:sub(1, #content) ~= content or kept:find(' cancelled=', #content, true) then
        return { KEY_REUSED }
    end
    local epoch_then, id, balance = kept:match('^(%S+) (%S+) (%S+)', #content + 1)
    return { 1, epoch_then, id, balance, state.due_ms > 0 and math.max(0, state.due_ms - now_ms) or -1 }
end

local code, balance = refusal(state, user, game, option, stake)
if code then
    return { code }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end
local id
id, balance = predict(user, key, game, pool, option, stake, balance, '')
local due_ms = changed(pool, state.flushed_ms, state.due_ms, tonumber(ARGV[7]))
return { 0, epoch, id, balance, math.max(0, due_ms - now_ms) }
