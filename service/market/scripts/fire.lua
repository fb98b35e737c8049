-- Standing orders whose mark the distribution passes are carried out.
-- Needs the parts before it: prediction.lua, due.lua and orders.lua with what they need.

-- Chooses the orders that the present totals meet: option by option, the marks that were passed first before.
local function choose_met(pool, options_count)
    local function choose(option, passes, from, to, order)
        local key = marks(pool, passes, option)
        local members = redis.call('ZRANGE', key, from, to, 'BYSCORE', unpack(order))
        if #members > 0 then
            redis.call('HSET', KEY_POOL .. pool, 'moved', redis.call('LLEN', KEY_BOOK .. pool))
            redis.call('RPUSH', orders_met(pool), unpack(members))
            redis.call('ZREM', key, unpack(members))
        end
    end
    local present = shares(pool, options_count)
    for option = 0, present and options_count - 1 or -1 do
        choose(option, 'at_least', '-inf', present[option].at_least, {})
        choose(option, 'at_most', '+inf', present[option].at_most, { 'REV' })
    end
end

local function fire(pool, state, member)
    local kept = redis.call('HGET', KEY_ORDERS .. pool, member)
    if not kept then
        return false
    end
    local order = cjson.decode(kept)
    local user, option, stake = member:match('^%S+'), integer(order.option), integer(order.stake)
    local code, balance = refusal(state, user, order.game, pool, option, stake)
    if code then
        end_order('order_failed', member, order, 'body', '{"code":' .. code .. '}')
        return false
    end
    local mark = ' order=' .. table.concat({ integer(order.when.option), integer(order.when.share),
        order.when.passes }, ':')
    predict(user, order.key, order.game, pool, option, stake, balance, mark)
    forget_order(member, order)
    return true
end

-- Sees to the orders of a pool, at most `most` of them; `has_moved` when its distribution was just sent.
-- Answers how many it saw to, and how soon it has to be asked again (ms), 0 when not.
local function see_to_orders(pool, interval_ms, most, has_moved)
    local state = pool_state(pool)
    if is_over(state) then
        return ORDERS_BATCH, lapse_orders(pool)
    end
    if has_moved then
        choose_met(pool, tonumber(state[OPTIONS_COUNT]))
    end
    local met, seen, fired = orders_met(pool), 0, false
    local again_ms = 0
    if is_held(state) then
        return 0, redis.call('LLEN', met) > 0 and interval_ms or 0
    end
    while redis.call('LLEN', met) > 0 do
        if seen >= most then
            again_ms = 1
            break
        end
        if journal_is_full() then
            again_ms = interval_ms
            break
        end
        fired = fire(pool, state, redis.call('LPOP', met)) or fired
        seen = seen + 1
    end
    if fired then
        due_in_ms(pool, state, interval_ms)
    end
    return seen, again_ms
end
